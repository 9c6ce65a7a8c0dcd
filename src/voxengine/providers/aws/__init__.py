"""What all of Amazon's services have in common, and the parts of a cascade that are theirs.

- access: credentials and region, from the configuration, the environment or a profile.
- sdk, stream: AWS's own library and its HTTP/2 event streams (Python 3.12 or newer).
- failures: what went wrong there, in our words.
- polly: speech by Amazon Polly; transcribe: recognition by Amazon Transcribe.
"""

"""Google Cloud Speech-to-Text v2, over gRPC (extra `google`).

- shape: options, and the configuration of a stream in the vendor's form.
- failures: what the vendor's refusals mean.
- talk: one call of `StreamingRecognize`.
- stt: the recogniser, and the stream of one session, which is one call after another.
"""

"""Azure Speech: speech to text and text to speech as parts of a cascade, by Azure's own native client.

- access: where the service is, and the key to it.
- sdk: the native client, its configuration, and its failures in our words.
- stt: recognition while the user speaks.
- tts: speech from words as they come.
"""

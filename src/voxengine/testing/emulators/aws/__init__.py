"""What all of Amazon's emulators have in common, and those of its parts of a cascade.

- http2: a server and a client of HTTP/2 on asyncio, made of the `h2` package.
- frames: `application/vnd.amazon.eventstream`.
- signing: Signature Version 4, of requests and of the events in a stream.
- emulator: `AmazonEmulator`, whose sessions are event streams.
"""

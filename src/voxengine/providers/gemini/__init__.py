"""Google's Gemini: the Live API (speech to speech), also on Vertex AI, and the text models as a brain of a cascade.

- codec: messages of the Live API in and out, pure.
- turns: turns and responses, of which the API tells only the ends; pure.
- shape: capabilities, and configuration and log in the vendor's form.
- place, failures: where the API is and how one is let in; what its refusals mean.
- connection, provider: the connection, and what is said on it.
- llm, contents: `streamGenerateContent`, through the vendor's own client.
"""

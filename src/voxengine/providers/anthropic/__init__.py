"""Anthropic: Claude as the brain of a cascade (`anthropic/claude-haiku-5-5`), through the vendor's own client.

- request: a conversation as the Messages API takes it; pure.
- answer: the events of its stream, put together to what a brain says; pure.
- failures: what the vendor's client raises, as one of our errors.
- llm: the brain.
"""

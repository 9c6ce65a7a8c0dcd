"""The brains of a cascade: what understands a turn and answers it.

Each is built as `Brain(model, options)`: `scripted.ScriptedBrain` (rules from a file, no model),
`openai_chat.OpenAIChatBrain` (any OpenAI-compatible endpoint), `smollm2.SmolLM2Brain` (a small model in this process).
Import the one that is used.
"""

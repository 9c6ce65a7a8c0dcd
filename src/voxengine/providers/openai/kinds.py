"""The types of server events that are not translated, and why.

Facts: `openai.types.realtime.RealtimeServerEvent`; what is beyond it says so.
"""

__all__ = ["AUDIO", "NOTHING", "NOTICES", "PASSED_ON"]

#: The audio path; the second is the preview's name, which compatible servers still use.
AUDIO = frozenset({"response.output_audio.delta", "response.audio.delta"})

#: What concerns the connection itself.
NOTICES = frozenset({"session.created", "session.updated", "conversation.created", "error"})

#: Types that become a `RawEvent`: what they tell has no name with us, and the application may want it.
PASSED_ON = {
    "conversation.item.retrieved": "the answer to a question in the vendor's own words",
    "conversation.item.input_audio_transcription.segment": "who spoke, where a model tells speakers apart",
    "input_audio_buffer.timeout_triggered": "nobody spoke for a while, and the vendor answers to that",
    "input_audio_buffer.dtmf_event_received": "a key of a telephone, where the vendor has the call",
    "response.mcp_call_arguments.delta": "a tool that the vendor runs itself",
    "response.mcp_call_arguments.done": "a tool that the vendor runs itself",
    "response.mcp_call.in_progress": "a tool that the vendor runs itself",
    "response.mcp_call.completed": "a tool that the vendor runs itself",
    "response.mcp_call.failed": "a tool that the vendor runs itself",
    "mcp_list_tools.in_progress": "tools that the vendor runs itself",
    "mcp_list_tools.completed": "tools that the vendor runs itself",
    "mcp_list_tools.failed": "tools that the vendor runs itself",
}

#: Types that carry nothing for us, and why.
NOTHING = {
    "session.created": "the connection reads it before there is a session",
    "session.updated": "the connection reads it: it settles the call that asked for it",
    "conversation.created": "the connection reads the id; the conversation is ours",
    "conversation.item.added": "the log is ours; items are told by what happens to them",
    "conversation.item.done": "the log is ours; items are told by what happens to them",
    "conversation.item.created": "the older name of conversation.item.added",
    "conversation.item.deleted": "confirms what we asked for",
    "conversation.item.truncated": "confirms what we asked for",
    "input_audio_buffer.cleared": "confirms what we asked for",
    "output_audio_buffer.started": "the vendor's own player, which a WebSocket has not",
    "output_audio_buffer.stopped": "the vendor's own player, which a WebSocket has not",
    "output_audio_buffer.cleared": "the vendor's own player, which a WebSocket has not",
    "response.content_part.added": "its text and its audio are told piece by piece",
    "response.content_part.done": "its text and its audio were told piece by piece",
    "response.output_audio.done": "the playout clock knows when the listener has heard it",
    "response.function_call_arguments.delta": "a tool is called with all of its arguments",
    # Beyond OpenAI's types.
    "ping": "xAI keeps its connection alive",
    "response.audio.done": "the preview's name of response.output_audio.done",
}

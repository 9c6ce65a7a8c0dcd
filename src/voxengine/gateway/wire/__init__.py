"""OpenAI's Realtime wire, as a server speaks it: one `RealtimeSession` for each client."""

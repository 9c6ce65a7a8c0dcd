"""OpenAI's parts for a cascade: recognition by a transcription session of the Realtime API, and text to speech."""

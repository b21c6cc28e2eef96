"""An OpenAI-compatible completions server: requests, the thread that answers them, responses, the ASGI application."""

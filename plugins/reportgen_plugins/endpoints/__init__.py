"""Ask an endpoint of the chat completions protocol: prompts from files, requests with retries, and kept answers."""

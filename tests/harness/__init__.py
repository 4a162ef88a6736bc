"""What the end-to-end tests share: a real daemon, a scripted provider, a plain msgpack-RPC client."""

"""`manage.py bench`: the figures of docs/measures.md, each made by a command, in a scratch house of its own."""

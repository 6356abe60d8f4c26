"""The JSON face: serializer in, verb, serializer out. Addresses and members are those of `docs/api.md`."""

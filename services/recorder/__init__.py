"""The recorder: carries finished recordings from a FreeSWITCH node's disk into the object store (SPEC 6.2)."""

"""One technology each: FreeSWITCH, Kafka, the local disk."""

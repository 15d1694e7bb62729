"""Apache Kafka itself, one KRaft node on loopback."""

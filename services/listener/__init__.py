"""The listener: one beside each FreeSWITCH. Facts go out, commands come in; it never decides (DESIGN rule 5)."""

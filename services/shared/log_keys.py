"""The keys of a tenant's logs: of a tenant that is split, each routing domain has one of its own (docs/adr/0033)."""

_BETWEEN = "/"
"""In no tenant's id."""


def key_of(tenant_id: str, domain: str = "") -> str:
    """Return the key of a tenant's own log, or of a domain's."""
    return f"{tenant_id}{_BETWEEN}{domain}" if domain else tenant_id


def parts_of(key: str) -> tuple[str, str]:
    """Return tenant and domain, which is empty for the tenant's own log."""
    tenant_id, _, domain = key.partition(_BETWEEN)
    return tenant_id, domain

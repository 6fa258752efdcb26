"""The authority that signs the certificates of the stack's parts, where these speak TLS to each other."""

import ssl


def trusted(authority_file: str) -> ssl.SSLContext | bool:
    """What httpx takes as `verify`: this authority alone; or True, the machine's, where no file is named.

    Raises OSError for a file that is not there or holds no certificate.
    """
    return ssl.create_default_context(cafile=authority_file) if authority_file else True

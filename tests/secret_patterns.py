"""What a credential looks like, as those who issue them made them to be found."""

import re

_FORMS = (
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{60}",
    r"\bglpat-[A-Za-z0-9_-]{20}\b",
    r"\bxox[abprs]-[0-9]{6,}-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/services/T[A-Z0-9]{8,}/B[A-Z0-9]{8,}/[A-Za-z0-9]{20,}",
    r"\bsk-(?:proj-|ant-|specola-[0-9a-f]{16}-)?[A-Za-z0-9_-]{40,}",
    r"\bAIza[0-9A-Za-z_-]{35}\b",
    r"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}",
    r"\bglsa_[A-Za-z0-9]{32}_[0-9a-f]{8}\b",
    r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}",
)
FORMS = re.compile("|".join(f"(?:{form})" for form in _FORMS).encode())

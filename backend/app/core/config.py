"""Every setting, with its default and its unit. Read once from the environment; `.env.example` lists them all."""

from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

#: Where containers are given secrets: a file each, named as its field. What the environment says comes before it.
SECRETS = Path("/run/secrets")

#: MongoDB takes 16 MiB a record, and an upload is kept as base64: a third more, and some room for its other fields.
MONGODB_UPLOAD_BYTES = 12_500_000

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class Settings(BaseSettings):
    """The service's settings; each field is the environment variable of the same name in capitals."""

    # What was given stays out of an error about it: it may be a secret that was put into the wrong variable.
    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        secrets_dir=SECRETS if SECRETS.is_dir() else None,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    # The service
    service_name: str = "backend"
    environment: str = "local"
    host: str = "0.0.0.0"  # noqa: S104 - a container's own network; the ports are published on loopback
    port: int = 8000
    timezone: str = "Europe/Rome"
    shutdown_seconds: float = Field(4.0, gt=0)  # what is in flight has this long to finish

    # alert-inbox (the same image, another program)
    inbox_port: int = 8001
    runbooks_dir: Path = Path("monitoring/runbooks")
    watchdog_timeout_seconds: float = Field(180.0, gt=0)  # three of Alertmanager's repeats of the Watchdog

    # Access
    api_keys_required: bool = False  # every call but a probe's then needs a key, which `make api-key` makes
    server_certificate_file: str = ""  # PEM, certificate and key: only HTTPS is served then; empty: only HTTP
    authority_file: str = ""  # PEM: Qdrant and Tempo are asked by HTTPS, and known by it; MONGODB_URL names it itself
    internal_token_file: str = ""  # file with the token that /metrics, /internal and /health ask for; empty: none

    # Logs
    log_level: LogLevel = "INFO"
    log_dir: Path = Path("logs")
    log_file: str = "application.log"
    log_per_host: bool = False  # a folder a replica
    log_max_bytes: int = Field(20_000_000, gt=0)  # of one file, before it is rotated
    log_files: int = Field(5, ge=1)  # full files that are kept, or more small ones in the same room
    log_content: bool = False  # prompts and answers in lines: never, unless asked for
    log_redaction: bool = True  # off only to prove that what looks for secrets in the stores can find them
    log_queue_lines: int = Field(20_000, gt=0)  # lines that wait for the writer; more are dropped and counted
    user_hash_key: SecretStr = SecretStr("specola-local")  # user ids in lines are hashed with it

    # Traces
    otel_sdk_disabled: bool = False  # no spans and no trace ids at all
    otel_exporter_otlp_endpoint: str = ""  # OTLP over HTTP, without the path; empty: spans are written to a file
    otel_traces_sampler_arg: float = Field(1.0, ge=0, le=1)  # share of the requests that are traced
    trace_file: str = "traces.jsonl"  # in log_dir, rotated like the logs

    # Stores
    document_store: Literal["mongodb", "sqlite"] = "sqlite"
    mongodb_url: SecretStr = SecretStr("mongodb://localhost:27017")
    mongodb_database: str = "specola"
    sqlite_path: Path = Path(".data/backend/specola.sqlite")
    vector_store: Literal["server", "local"] = "local"
    qdrant_host: str = "localhost"
    qdrant_port: int = 6333
    qdrant_api_key: SecretStr = SecretStr("")
    qdrant_path: Path = Path(".data/backend/qdrant")
    qdrant_collection: str = "chunks"
    store_timeout_seconds: float = Field(5.0, gt=0)

    # AI
    ai_provider: Literal["local", "azure", "openai"] = "local"
    azure_openai_endpoint: str = ""
    azure_openai_key: SecretStr = SecretStr("")
    azure_openai_deployment: str = ""
    azure_openai_embedding_deployment: str = ""
    azure_openai_api_version: str = "2024-10-21"
    openai_base_url: str = "https://api.openai.com/v1"
    openai_api_key: SecretStr = SecretStr("")
    openai_model: str = "gpt-4o-mini"
    openai_embedding_model: str = "text-embedding-3-small"
    ai_embedding_dimensions: int = Field(1024, gt=0)
    ai_timeout_seconds: float = Field(30.0, gt=0)
    ai_max_attempts: int = Field(3, ge=1)
    ai_circuit_failures: int = Field(5, ge=1)  # in a row, before the circuit opens
    ai_circuit_reset_seconds: float = Field(15.0, gt=0)
    #: USD per million tokens, (input, output) by model: what a model costs is its owner's to say.
    ai_prices: dict[str, tuple[float, float]] = Field(
        default={"gpt-4o-mini": (0.15, 0.60), "text-embedding-3-small": (0.02, 0.0)}
    )

    # Retrieval
    rag_top_k: int = Field(4, ge=1, le=20)
    rag_minimum_score: float = 0.2  # cosine; the local AI's best passage for a question off topic stays below it
    chunk_chars: int = Field(800, ge=100)
    chunk_overlap_chars: int = Field(100, ge=0)

    # Limits
    max_upload_bytes: int = Field(5_000_000, gt=0)
    max_json_bytes: int = Field(64_000, gt=0)  # of any other request's body
    max_question_chars: int = Field(4_000, gt=0)
    max_comment_chars: int = Field(2_000, gt=0)
    max_text_chars: int = Field(500_000, gt=0)  # of one document, once extracted: about 250 pages
    max_pdf_pages: int = Field(500, gt=0)
    max_json_depth: int = Field(64, gt=0)
    extraction_seconds: float = Field(20.0, gt=0)
    max_queued_jobs: int = Field(100, gt=0)
    max_concurrent_requests: int = Field(200, gt=0)  # more are shed with 503
    max_history_turns: int = Field(6, ge=0)

    # Background work
    indexing_workers: int = Field(1, ge=1)
    indexing_lease_seconds: float = Field(60.0, gt=0)  # a job whose worker is silent this long is taken up again
    indexing_max_attempts: int = Field(3, ge=1)
    sample_seconds: float = Field(5.0, gt=0)  # gauges that are read from the stores
    job_retention_days: float = Field(7.0, gt=0)  # finished indexing jobs are kept this long; their documents stay
    message_retention_days: float = Field(90.0, gt=0)  # messages, ratings, and sessions without use are kept this long
    active_user_seconds: float = Field(300.0, gt=0)  # seen this recently = active
    session_idle_seconds: float = Field(1800.0, gt=0)  # silent this long = no longer active
    health_cache_seconds: float = Field(5.0, ge=0)
    health_timeout_seconds: float = Field(2.0, gt=0)  # of one check
    disk_free_minimum_percent: float = Field(10.0, ge=0, le=100)  # the specification's
    memory_used_maximum_percent: float = Field(85.0, ge=0, le=100)  # the specification's

    # What only drills use
    faults_enabled: bool = False

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        """Refuses at the start what would fail each document later."""
        if self.chunk_overlap_chars * 2 >= self.chunk_chars:
            raise ValueError(
                f"CHUNK_OVERLAP_CHARS ({self.chunk_overlap_chars}) is to be less than half of "
                f"CHUNK_CHARS ({self.chunk_chars})"
            )
        if self.document_store == "mongodb" and self.max_upload_bytes > MONGODB_UPLOAD_BYTES:
            raise ValueError(
                f"MAX_UPLOAD_BYTES ({self.max_upload_bytes}) is at most {MONGODB_UPLOAD_BYTES} with "
                "DOCUMENT_STORE=mongodb, which takes 16 MiB a record"
            )
        return self


@lru_cache
def get_settings() -> Settings:
    """The process' settings."""
    return Settings()

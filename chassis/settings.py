"""Settings: read once from the environment at start, checked, frozen."""

import hashlib
import hmac
import os
import re
import sys
from ipaddress import ip_network
from typing import Annotated, Literal, NoReturn
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis import failpoints

SERVICES = ("account", "social_graph", "media", "status", "blog", "timeline")
"""The gRPC services, in the order in which they can start."""

PREFIX = "KODAMA_"
MAX_PORT = 65535
ESCAPE_HINT = "; in a password, @ is %40, / is %2F and % is %25"


def _is_address(address: str) -> str:
    found = re.fullmatch(r"[^\s:/]+:([0-9]{1,5})", address)
    if found is None or int(found[1]) > MAX_PORT:
        raise ValueError("must be host:port")
    return address


def _is_url(url: str, schemes: tuple[str, ...]) -> bool:
    """Tell whether an address is one of these, without an error that would show the password in it."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and (parts.port is None or parts.port <= MAX_PORT)
    except ValueError:
        return False


def _one_by_one(url: str) -> list[str]:
    """Return an address that may name several hosts, each with a port or without, once for each. Raises ValueError."""
    login, at, hosts = urlsplit(url).netloc.rpartition("@")
    return [urlsplit(url)._replace(netloc=f"{login}{at}{host}").geturl() for host in hosts.split(",")]


def _is_database_url(url: str) -> bool:
    """Tell whether an address is libpq's."""
    try:
        return all(_is_url(one, ("postgresql", "postgres")) for one in _one_by_one(url))
    except ValueError:
        return False


def _hosts_of_broker(url: str) -> list[str]:
    """Return the address of each node that a broker's URL names; none where it is no such URL."""
    try:
        nodes = [one for part in url.split(";") for one in _one_by_one(part)]
    except ValueError:
        return []
    schemes = ("amqp", "amqps", "pgmq") if len(nodes) == 1 else ("amqp", "amqps")
    return nodes if all(_is_url(node, schemes) for node in nodes) else []


def _for_changes(url: str) -> str:
    """Return a database URL that, where it names several hosts, leads to the one that takes changes, unless it says where it leads."""
    parts = urlsplit(url)
    if "," not in parts.netloc.rpartition("@")[2] or "target_session_attrs=" in parts.query:
        return url
    query = f"{parts.query}&target_session_attrs=read-write" if parts.query else "target_session_attrs=read-write"
    return urlunsplit(parts._replace(query=query))


Address = Annotated[str, AfterValidator(_is_address)]


def _is_rate(rate: str) -> str:
    if rate and re.fullmatch(r"[1-9][0-9]{0,8}/([1-9][0-9]{0,4} )?(second|minute|hour|day)s?", rate) is None:
        raise ValueError("must be like 300/5 minutes, or empty for no limit")
    return rate


Rate = Annotated[str, AfterValidator(_is_rate)]


class Settings(BaseSettings):
    """Everything a process of Kodama can be told, each from the variable KODAMA_<NAME>.

    One secret and one database URL are enough for a whole network; from the secret the keys between processes and the
    passwords of the database roles are derived. A service can be given its own database URL.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    database_url: str = Field(default="", repr=False)
    account_database_url: str = Field(default="", repr=False)
    social_graph_database_url: str = Field(default="", repr=False)
    media_database_url: str = Field(default="", repr=False)
    status_database_url: str = Field(default="", repr=False)
    blog_database_url: str = Field(default="", repr=False)
    timeline_database_url: str = Field(default="", repr=False)
    broker_url: str = Field(default="", repr=False)
    secret: str = Field(min_length=32, repr=False)

    account_address: Address = "127.0.0.1:8431"
    social_graph_address: Address = "127.0.0.1:8432"
    status_address: Address = "127.0.0.1:8433"
    blog_address: Address = "127.0.0.1:8434"
    timeline_address: Address = "127.0.0.1:8435"
    media_address: Address = "127.0.0.1:8436"
    gateway_address: Address = "127.0.0.1:8420"
    account_metrics_address: Address | Literal[""] = ""
    social_graph_metrics_address: Address | Literal[""] = ""
    media_metrics_address: Address | Literal[""] = ""
    status_metrics_address: Address | Literal[""] = ""
    blog_metrics_address: Address | Literal[""] = ""
    timeline_metrics_address: Address | Literal[""] = ""
    gateway_metrics_address: Address | Literal[""] = ""
    public_url: str = ""
    title: str = Field(default="Kodama", max_length=100)

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    database_pool_size: int = Field(default=8, ge=1, le=200)
    shutdown_grace_seconds: float = Field(default=10, ge=0, le=300)
    relay_lease_seconds: int = Field(default=90, ge=5, le=3600)
    relay_max_attempts: int = Field(default=8, ge=1, le=1000)
    relay_max_failing_hours: int = Field(default=24, ge=1, le=720)
    media_conversions: int = Field(default=2, ge=1, le=64)
    max_friends: int = Field(default=1000, ge=1, le=5000)
    friend_request_days: int = Field(default=90, ge=1, le=3650)
    registrations_open: bool = True
    password_grant: bool = False
    confirm_email: bool = False
    smtp_url: str = Field(default="", repr=False)
    mail_from: str = Field(default="", max_length=254)

    shed_load: bool = True

    # Rates are written as in `300/5 minutes`; an empty one is no limit. The figures are Mastodon's where it has one.
    rate_limits: bool = True
    trusted_proxies: str = ""
    limit_per_member: Rate = "1500/5 minutes"
    limit_per_token: Rate = "300/5 minutes"  # noqa: S105 - a rate, no secret
    limit_per_address: Rate = "300/5 minutes"
    limit_paging: Rate = "300/15 minutes"
    limit_writes: Rate = "300/15 minutes"
    limit_deletes: Rate = "30/30 minutes"
    limit_media: Rate = "30/30 minutes"
    limit_friend_requests: Rate = "400/day"
    limit_searches: Rate = "150/15 minutes"
    limit_sign_ups: Rate = "5/30 minutes"
    limit_confirmations: Rate = "5/hour"
    limit_sign_ins: Rate = "25/5 minutes"
    limit_apps: Rate = "25/10 minutes"

    suggestions_folder: str = Field(default="/var/cache/kodama/suggestions", min_length=1)
    suggestions_hours: int = Field(default=24, ge=0, le=8760)
    suggestions_block_wedges: int = Field(default=100_000_000, ge=1000, le=10**10)
    dismissal_days: int = Field(default=0, ge=0, le=36_500)

    timeline_dormant_days: int = Field(default=14, ge=2, le=3650)
    timeline_max_pushed_friends: int = Field(default=1000, ge=0, le=5000)
    timeline_keep_days: int = Field(default=90, ge=7, le=36_500)
    timeline_open_work_max_age_ms: int = Field(default=50, ge=0, le=1000)

    @field_validator(
        "database_url",
        "account_database_url",
        "social_graph_database_url",
        "media_database_url",
        "status_database_url",
        "blog_database_url",
        "timeline_database_url",
    )
    @classmethod
    def _is_postgresql(cls, url: str) -> str:
        if url and not _is_database_url(url):
            raise ValueError(f"must be postgresql://user:password@host:port/database{ESCAPE_HINT}")
        return _for_changes(url)

    @field_validator("broker_url")
    @classmethod
    def _is_broker(cls, url: str) -> str:
        hosts = _hosts_of_broker(url)
        if url and not hosts:
            raise ValueError(
                "must be amqp://user:password@host:port/vhost, with more nodes of a cluster as host:port,host:port, "
                f"or amqps:// or pgmq://{ESCAPE_HINT}"
            )
        return ";".join(hosts)  # the form that Celery and kombu know

    @field_validator("smtp_url")
    @classmethod
    def _is_mail_server(cls, url: str) -> str:
        if url and not (_is_url(url, ("smtp", "smtps")) and urlsplit(url).hostname):
            raise ValueError(f"must be smtp://user:password@host:port or smtps://{ESCAPE_HINT}")
        return url

    @field_validator("mail_from")
    @classmethod
    def _is_mail_address(cls, address: str) -> str:
        if address and re.fullmatch(r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", address) is None:
            raise ValueError("must be an e-mail address such as kodama@kodama.example.org")
        return address

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: str) -> str:
        try:
            return ",".join(str(ip_network(network.strip())) for network in networks.split(",") if network.strip())
        except ValueError as error:
            raise ValueError("must be networks such as 10.0.0.0/8,fd00::/8") from error

    @field_validator("public_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        url = url.rstrip("/")
        if url and not (_is_url(url, ("http", "https")) and url.partition("://")[2] == urlsplit(url).netloc != ""):
            raise ValueError("must be an http:// or https:// address without a path")
        return url

    def base_url(self) -> str:
        """Return the address that clients reach the gateway at, without a trailing slash."""
        return self.public_url or f"http://{self.gateway_address}"

    def address(self, service: str) -> str:
        """Return host:port of a gRPC service. Raises KeyError for an unknown one."""
        if service not in SERVICES:
            raise KeyError(service)
        return str(getattr(self, f"{service}_address"))

    def metrics_address(self, process: str) -> str:
        """Return host:port that a service or the gateway serves its metrics on; empty where it serves none.

        Raises KeyError for an unknown one.
        """
        if process not in (*SERVICES, "gateway"):
            raise KeyError(process)
        return str(getattr(self, f"{process}_metrics_address"))

    def derive(self, label: str) -> str:
        """Return the hex key that the secret yields for a purpose; different labels tell nothing of each other."""
        return hmac.new(self.secret.encode(), label.encode(), hashlib.sha256).hexdigest()

    def service_database_url(self, service: str) -> str:
        """Return the URL that a service connects with: its own, or the common one as its role `kodama_<service>`.

        Raises KeyError for an unknown service and ValueError where no database is configured.
        """
        if service not in SERVICES:
            raise KeyError(service)
        own = str(getattr(self, f"{service}_database_url"))
        if own:
            return own
        if not self.database_url:
            raise ValueError(f"set {PREFIX}DATABASE_URL, or {PREFIX}{service.upper()}_DATABASE_URL")
        parts = urlsplit(self.database_url)
        host = parts.netloc.rpartition("@")[2]
        login = f"{role_name(service)}:{quote(self.derive(f'database/{service}'))}"
        return urlunsplit(parts._replace(netloc=f"{login}@{host}"))

    def require_mail(self) -> tuple[str, str]:
        """Return the mail server's URL and the address that mails come from. Raises ValueError where one is not configured."""
        if not self.smtp_url:
            raise ValueError(f"with {PREFIX}CONFIRM_EMAIL, set {PREFIX}SMTP_URL, for example to smtp://127.0.0.1:25")
        if not self.mail_from:
            raise ValueError(f"with {PREFIX}CONFIRM_EMAIL, set {PREFIX}MAIL_FROM, for example to kodama@example.org")
        return self.smtp_url, self.mail_from

    def require_broker_url(self) -> str:
        """Return the broker's URL. Raises ValueError where none is configured."""
        if not self.broker_url:
            raise ValueError(f"set {PREFIX}BROKER_URL, for example to amqp://user:password@127.0.0.1:5672/")
        return self.broker_url


def role_name(service: str) -> str:
    """Return the name of a service's database role."""
    return f"kodama_{service}"


def load_settings() -> Settings:
    """Read the environment, or end the process with exit code 2 and one sentence per fault."""
    try:
        failpoints.arm_from(os.environ)
    except ValueError as error:
        refuse(str(error))
    try:
        return Settings()
    except ValidationError as error:
        refuse(
            *(
                f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg'].removeprefix('Value error, ')}"
                for fault in error.errors(include_input=False, include_url=False)
            )
        )


def refuse(*faults: str) -> NoReturn:
    """End the process with exit code 2 after saying what is wrong with its configuration."""
    for fault in faults:
        print(f"kodama: {fault}", file=sys.stderr)  # noqa: T201 - this is what the operator at the terminal reads
    raise SystemExit(2)

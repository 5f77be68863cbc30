"""The network itself: what it is called, what it can do, whether it is well."""

from importlib.metadata import version
from urllib.parse import urlsplit

import msgspec
from starlette.responses import Response

from chassis.settings import Settings
from services.gateway.auth import Open
from services.gateway.context import Call
from services.gateway.entities import Entity, Nothing
from services.gateway.parameters import NoParameters
from services.gateway.routing import Route, json_response

# Clients read the leading digits as the version of the API that is spoken.
VERSION = f"4.2.0 (compatible; kodama {version('kodama')})"
DESCRIPTION = "A network of blogging communities: short statuses for friends, blogs, and people you might know."
LANGUAGES = ["ja", "en"]
MAX_STATUS_CHARACTERS = 150
CHARACTERS_PER_URL = 23


class StatusLimits(Entity, kw_only=True):
    """What a status can hold."""

    max_characters: int = MAX_STATUS_CHARACTERS
    max_media_attachments: int = 4
    characters_reserved_per_url: int = CHARACTERS_PER_URL


class MediaLimits(Entity, kw_only=True):
    """What media can be: pictures; of an animation the first frame is kept."""

    supported_mime_types: list[str] = msgspec.field(
        default_factory=lambda: ["image/jpeg", "image/png", "image/webp", "image/gif"]
    )
    description_limit: int = 1500
    image_size_limit: int = 8 * 1024 * 1024
    image_matrix_limit: int = 40_000_000
    video_size_limit: int = 0
    video_frame_rate_limit: int = 0
    video_matrix_limit: int = 0


class PollLimits(Entity, kw_only=True):
    """What polls can be; there are none."""

    max_options: int = 0
    max_characters_per_option: int = 0
    min_expiration: int = 0
    max_expiration: int = 0


class AccountLimits(Entity, kw_only=True):
    """What a profile can hold."""

    max_featured_tags: int = 0


class Translation(Entity, kw_only=True):
    """Whether posts can be translated."""

    enabled: bool = False


class StreamingUrl(Entity, kw_only=True):
    """Where streams are."""

    streaming: str


class StreamingApiUrl(Entity, kw_only=True):
    """Where streams are, in the words of the first version."""

    streaming_api: str


class ConfigurationV1(Entity, kw_only=True):
    """Limits that clients show."""

    accounts: AccountLimits
    statuses: StatusLimits
    media_attachments: MediaLimits
    polls: PollLimits


class Configuration(ConfigurationV1, kw_only=True):
    """Limits that clients show, and addresses."""

    urls: StreamingUrl
    translation: Translation


class Stats(Entity, kw_only=True):
    """How much there is; of very much an estimate."""

    user_count: int = 0
    status_count: int = 0
    domain_count: int = 1


class InstanceV1(Entity, kw_only=True):
    """GET /api/v1/instance."""

    uri: str
    title: str
    short_description: str
    description: str
    email: str = ""
    version: str = VERSION
    urls: StreamingApiUrl
    stats: Stats
    thumbnail: str | None = None
    languages: list[str]
    registrations: bool
    approval_required: bool = False
    invites_enabled: bool = False
    configuration: ConfigurationV1
    contact_account: None = None
    rules: list[Nothing] = msgspec.field(default_factory=list)


class UsersUsage(Entity, kw_only=True):
    """Members active in the last month; not counted."""

    active_month: int = 0


class Usage(Entity, kw_only=True):
    """Usage of the network."""

    users: UsersUsage


class Thumbnail(Entity, kw_only=True):
    """A picture of the network."""

    url: str


class Registrations(Entity, kw_only=True):
    """Whether one can sign up."""

    enabled: bool
    approval_required: bool = False
    message: str | None = None
    url: str | None = None


class Contact(Entity, kw_only=True):
    """Who runs the network."""

    email: str = ""
    account: None = None


class InstanceV2(Entity, kw_only=True):
    """GET /api/v2/instance."""

    domain: str
    title: str
    version: str = VERSION
    source_url: str = ""
    description: str
    usage: Usage
    thumbnail: Thumbnail
    languages: list[str]
    configuration: Configuration
    registrations: Registrations
    contact: Contact
    rules: list[Nothing] = msgspec.field(default_factory=list)


class Health(Entity, kw_only=True):
    """Whether the network is well, and which part is not."""

    status: str
    services: dict[str, str]


def domain_of(settings: Settings) -> str:
    """Return host and port that members know the network by."""
    return urlsplit(settings.base_url()).netloc


def _streaming(settings: Settings) -> str:
    parts = urlsplit(settings.base_url())
    return parts._replace(scheme="wss" if parts.scheme == "https" else "ws").geturl()


async def get_instance_v1(call: Call[NoParameters]) -> Response:
    """Describe the network as older clients expect."""
    settings = call.gateway.settings
    accounts, statuses = await call.gateway.size.get()
    return json_response(
        InstanceV1(
            uri=domain_of(settings),
            title=settings.title,
            short_description=DESCRIPTION,
            description=DESCRIPTION,
            urls=StreamingApiUrl(streaming_api=_streaming(settings)),
            stats=Stats(user_count=accounts, status_count=statuses),
            languages=LANGUAGES,
            registrations=settings.registrations_open,
            configuration=ConfigurationV1(
                accounts=AccountLimits(), statuses=StatusLimits(), media_attachments=MediaLimits(), polls=PollLimits()
            ),
        )
    )


async def get_instance_v2(call: Call[NoParameters]) -> Response:
    """Describe the network."""
    settings = call.gateway.settings
    return json_response(
        InstanceV2(
            domain=domain_of(settings),
            title=settings.title,
            description=DESCRIPTION,
            usage=Usage(users=UsersUsage()),
            thumbnail=Thumbnail(url=f"{settings.base_url()}/headers/1.svg"),
            languages=LANGUAGES,
            configuration=Configuration(
                accounts=AccountLimits(),
                statuses=StatusLimits(),
                media_attachments=MediaLimits(),
                polls=PollLimits(),
                urls=StreamingUrl(streaming=_streaming(settings)),
                translation=Translation(),
            ),
            registrations=Registrations(enabled=settings.registrations_open),
            contact=Contact(),
        )
    )


async def get_health(call: Call[NoParameters]) -> Response:
    """Tell whether every service answers: 200 where all do, 503 where one does not."""
    serving = await call.gateway.clients.serving()
    is_well = all(serving.values())
    services = {name: "serving" if is_serving else "unavailable" for name, is_serving in serving.items()}
    health = Health(status="ok" if is_well else "degraded", services=services)
    return json_response(health, {"cache-control": "no-store"}, 200 if is_well else 503)


ROUTES = (
    Route(
        method="GET",
        path="/health",
        handler=get_health,
        policy=Open.PUBLIC,
        response=Health,
        answers={503: Health},
        is_limited=False,
        urgency=None,
        summary="Whether the network is well",
        tag="instance",
    ),
    Route(
        method="GET",
        path="/api/v1/instance",
        handler=get_instance_v1,
        policy=Open.PUBLIC,
        response=InstanceV1,
        summary="The network, as older clients expect it",
        tag="instance",
    ),
    Route(
        method="GET",
        path="/api/v2/instance",
        handler=get_instance_v2,
        policy=Open.PUBLIC,
        response=InstanceV2,
        summary="The network",
        tag="instance",
    ),
)

"""The shapes of a request (cm_com.md 1.3 and 2.2), each twice: tolerant, and exact.

The exact twin refuses unknown keys. What decodes into it is in the documented camel case throughout; anything else is
folded first and then converted into the tolerant one, see `wire.decode`.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Shape(msgspec.Struct, kw_only=True):
    pass


class Parameter(Shape):
    type: str | None = None
    text: str | None = None
    payload: str | None = None
    media: Any = None
    image: Any = None
    video: Any = None
    document: Any = None
    currency: Any = None
    date_time: Any = None


class Component(Shape):
    type: str | None = None
    sub_type: str | None = None
    index: int | str | None = None
    parameters: tuple[Parameter, ...] | None = None


class Language(Shape):
    policy: str | None = None
    code: str | None = None


class WhatsAppTemplate(Shape):
    namespace: str | None = None
    element_name: str | None = None
    language: Language | None = None
    components: tuple[Component, ...] | None = None
    localizable_params: Any = None


class TemplateItem(Shape):
    whatsapp: WhatsAppTemplate | None = None


class Item(Shape):
    template: TemplateItem | None = None
    text: Any = None
    media: Any = None
    header: Any = None
    location: Any = None
    contacts: Any = None
    interactive: Any = None
    carousel: Any = None
    suggestions: Any = None
    context: Any = None


class RichContent(Shape):
    conversation: tuple[Item, ...] | None = None
    suggestions: Any = None


class Body(Shape):
    type: str | None = None
    content: str | None = None


class Recipient(Shape):
    number: str | None = None


class Message(Shape):
    sender: str | None = msgspec.field(name="from", default=None)
    to: tuple[Recipient, ...] | None = None
    body: Body | None = None
    reference: str | None = None
    allowed_channels: tuple[str, ...] | None = msgspec.field(name="allowedChannels", default=None)
    rich: RichContent | None = msgspec.field(name="richContent", default=None)
    grouping: str | None = msgspec.field(name="customGrouping", default=None)
    grouping2: str | None = msgspec.field(name="customGrouping2", default=None)
    grouping3: str | None = msgspec.field(name="customGrouping3", default=None)
    validity: str | None = None
    app_key: str | None = msgspec.field(name="appKey", default=None)
    dcs: int | None = None
    least_parts: int | None = msgspec.field(name="minimumNumberOfMessageParts", default=None)
    most_parts: int | None = msgspec.field(name="maximumNumberOfMessageParts", default=None)

    @property
    def template(self) -> WhatsAppTemplate | None:
        """The WhatsApp template of the first conversation item, or None for a free-form message."""
        if self.rich is None or not self.rich.conversation or self.rich.conversation[0].template is None:
            return None
        return self.rich.conversation[0].template.whatsapp


class Authentication(Shape):
    token: str | None = msgspec.field(name="productToken", default=None)


class Messages(Shape):
    authentication: Authentication | None = None
    msg: tuple[Message, ...] | None = None


class Envelope(Shape):
    messages: Messages | None = None


# The same shapes, refusing unknown keys: what decodes into them needs no folding.
class ExactParameter(Parameter, forbid_unknown_fields=True):
    pass


class ExactComponent(Component, forbid_unknown_fields=True):
    parameters: tuple[ExactParameter, ...] | None = None


class ExactLanguage(Language, forbid_unknown_fields=True):
    pass


class ExactWhatsAppTemplate(WhatsAppTemplate, forbid_unknown_fields=True):
    language: ExactLanguage | None = None
    components: tuple[ExactComponent, ...] | None = None


class ExactTemplateItem(TemplateItem, forbid_unknown_fields=True):
    whatsapp: ExactWhatsAppTemplate | None = None


class ExactItem(Item, forbid_unknown_fields=True):
    template: ExactTemplateItem | None = None


class ExactRichContent(RichContent, forbid_unknown_fields=True):
    conversation: tuple[ExactItem, ...] | None = None


class ExactBody(Body, forbid_unknown_fields=True):
    pass


class ExactRecipient(Recipient, forbid_unknown_fields=True):
    pass


class ExactMessage(Message, forbid_unknown_fields=True):
    to: tuple[ExactRecipient, ...] | None = None
    body: ExactBody | None = None
    rich: ExactRichContent | None = msgspec.field(name="richContent", default=None)


class ExactAuthentication(Authentication, forbid_unknown_fields=True):
    pass


class ExactMessages(Messages, forbid_unknown_fields=True):
    authentication: ExactAuthentication | None = None
    msg: tuple[ExactMessage, ...] | None = None


class ExactEnvelope(Envelope, forbid_unknown_fields=True):
    messages: ExactMessages | None = None

"""Read an entity's folder. Everything that is wrong is said at once, with file, line and remedy."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from include.entities.models import Audience, CampaignDefinition, Entity, EntityFile, Model, Source, Template
from include.entities.problems import EntityProblem, EntityProblems
from include.entities.source_kinds import hidden_kinds, kind_files
from include.entities.source_options import OPTIONS

FOLDER_VARIABLE = "WHATSAPP_ENTITIES"
AnyModel = TypeVar("AnyModel", bound=Model)


def entities_folder() -> Path:
    """The folder that holds one folder per entity: WHATSAPP_ENTITIES, else the one in this package."""
    return Path(os.environ.get(FOLDER_VARIABLE) or Path(__file__).parent)


def entity_names(root: Path | None = None) -> list[str]:
    """The folders that hold an `entity.yaml`, whether or not it can be read."""
    root = root or entities_folder()
    return sorted(path.parent.name for path in root.glob("*/entity.yaml"))


def load_entity(name: str, root: Path | None = None) -> Entity:
    """Read and check one entity. Raises EntityProblems with every mistake found."""
    folder = (root or entities_folder()) / name
    problems: list[EntityProblem] = []
    if not (folder / "entity.yaml").is_file():
        problem = EntityProblem(
            folder / "entity.yaml", 1, "The file does not exist.", "Create it, or correct the name."
        )
        raise EntityProblems(name, [problem])
    settings = _read(folder / "entity.yaml", EntityFile, problems)
    sources = _read_folder(folder / "sources", Source, problems)
    templates = _read_folder(folder / "templates", Template, problems)
    segments = _read_folder(folder / "segments", Audience, problems)
    campaigns = _read_folder(folder / "campaigns", CampaignDefinition, problems)
    if settings is not None and not problems:
        entity = Entity(
            folder=folder,
            settings=settings,
            sources=tuple(sources),
            templates=tuple(templates),
            segments=tuple(segments),
            campaigns=tuple(campaigns),
        )
        problems.extend(_cross_check(entity))
        if not problems:
            return entity
    raise EntityProblems(name, problems)


def _read_folder(folder: Path, model: type[AnyModel], problems: list[EntityProblem]) -> list[AnyModel]:
    found: list[AnyModel] = []
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        item = _read(path, model, problems)
        if item is None:
            continue
        name = getattr(item, "name")  # noqa: B009 - every model read from a folder has one
        if name != path.stem:
            problems.append(
                EntityProblem(
                    path, 1, f"name is {name!r}, the file is {path.name!r}.", "Give both the same name."
                )
            )
        elif path.suffix == ".yml" and path.with_suffix(".yaml").is_file():
            problems.append(
                EntityProblem(path, 1, f"There is a {path.stem}.yaml as well.", "Remove one of them.")
            )
        found.append(item)
    return found


def _read(path: Path, model: type[AnyModel], problems: list[EntityProblem]) -> AnyModel | None:
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        problems.append(
            EntityProblem(path, 1, f"The file is not UTF-8 (byte {error.start}).", "Save it as UTF-8.")
        )
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        cause = getattr(error, "problem", None) or "it cannot be parsed"
        problems.append(
            EntityProblem(
                path, mark.line + 1 if mark else 1, f"Not valid YAML: {cause}.", "Correct the line."
            )
        )
        return None
    problems_before = len(problems)
    for line, key in _repeated_keys(node):
        problems.append(EntityProblem(path, line, f"The key {key!r} stands twice.", "Remove one of them."))
    if not isinstance(data, dict):
        problems.append(
            EntityProblem(
                path, 1, "The file holds no mapping.", "Write `key: value` lines; see docs/entities.md."
            )
        )
        return None
    if len(problems) > problems_before:
        return None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems.extend(_explain(path, node, model, detail) for detail in error.errors())
        return None


def _explain(
    path: Path, node: Any, model: type[Model], detail: Any, *, under: tuple[str, ...] = ()
) -> EntityProblem:
    """One mistake that pydantic found; `under` is where the file holds what `model` describes."""
    location = [part for part in detail["loc"] if part != "[key]"]
    where = ".".join(str(part) for part in (*under, *location))
    kind = detail["type"]
    line = _line_of(node, [*under, *location])
    if kind == "extra_forbidden":
        known = _fields_at(model, location[:-1])
        close = difflib.get_close_matches(str(location[-1]), known, n=1)
        remedy = f"Did you mean {close[0]!r}?" if close else f"Known here: {', '.join(sorted(known))}."
        return EntityProblem(path, line, f"{where} is not a known field.", remedy)
    if kind == "missing":
        return EntityProblem(
            path, line, f"{where} is missing.", f"Add `{location[-1]}:`; see docs/entities.md."
        )
    message = detail["msg"].removeprefix("Value error, ")
    return EntityProblem(
        path, line, f"{where or 'The file'}: {message}.", "Correct the value; see docs/entities.md."
    )


def _fields_at(model: type[Model], location: list[Any]) -> list[str]:
    current: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        field = (
            current.model_fields.get(part)
            if isinstance(current, type) and issubclass(current, Model)
            else None
        )
        current = next(iter(_models_in(field.annotation)), None) if field else None
    return list(current.model_fields) if current is not None else []


def _models_in(annotation: Any) -> list[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]


def _line_of(node: Any, location: list[Any]) -> int:
    """The line (from 1) of the deepest part of `location` that the file has."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _repeated_keys(node: Any) -> list[tuple[int, str]]:
    """YAML lets a repeated key win in silence; here it is a mistake."""
    found: list[tuple[int, str]] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if str(key.value) in seen:
                found.append((key.start_mark.line + 1, str(key.value)))
            seen.add(str(key.value))
            found.extend(_repeated_keys(value))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            found.extend(_repeated_keys(value))
    return found


def _file_of(entity: Entity, folder: str, name: str) -> Path:
    """The file that describes `name`: `.yaml`, or `.yml`."""
    path = entity.folder / folder / f"{name}.yaml"
    return path if path.is_file() else path.with_suffix(".yml")


Say = Callable[[Path, str, str, str], None]


def _cross_check(entity: Entity) -> list[EntityProblem]:
    """What only the files together can tell."""
    problems: list[EntityProblem] = []

    def say(path: Path, key: str, cause: str, remedy: str) -> None:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        problems.append(EntityProblem(path, _line_of(node, [key]), cause, remedy))

    _check_settings(entity, say)
    wordings = {wording.id for wording in entity.settings.wordings}
    kinds = kind_files(entity.folder.parent)
    problems.extend(
        EntityProblem(hidden, 1, f"There is a kind {hidden.stem!r} already.", "Give yours another name.")
        for hidden in hidden_kinds(entity.folder.parent)
    )
    for source in entity.sources:
        path = _file_of(entity, "sources", source.name)
        if source.wording not in wordings:
            remedy = f"Add it to wordings in entity.yaml, or use one of: {_listed(wordings)}."
            say(path, "wording", f"wording {source.wording!r} is not known.", remedy)
        if source.kind not in kinds:
            remedy = f"Kinds: {_listed(set(kinds))}. Your own are modules in kinds/; see docs/extend.md."
            say(path, "kind", f"kind {source.kind!r} is not known.", remedy)
        problems.extend(_check_options(path, source))
        if source.kind == "actito" and "export" in source.options and source.optout is not None:
            remedy = "Leave `optout` out; a source that uses Actito's API can tell it."
            say(path, "optout", "an export has no way back.", remedy)
    _check_double_opt_in(entity, say)
    _check_campaigns(entity, say)
    return problems


def _check_options(path: Path, source: Source) -> list[EntityProblem]:
    """What a kind of ours would not understand: a misspelt option must not pass as one that was left out."""
    model = OPTIONS.get(source.kind)
    if model is None:
        return []
    try:
        model.model_validate(source.options)
    except ValidationError as error:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        return [_explain(path, node, model, detail, under=("options",)) for detail in error.errors()]
    return []


def _check_campaigns(entity: Entity, say: Say) -> None:
    for segment in entity.segments:
        unknown = set(segment.attributes) - entity.attributes
        if unknown:
            path = _file_of(entity, "segments", segment.name)
            cause = f"attribute {_listed(unknown)} comes from no source."
            say(path, "attributes", cause, f"Attributes: {_listed(entity.attributes)}.")
    templates = {template.name for template in entity.templates}
    segments = {segment.name for segment in entity.segments} | {"everyone"}
    for campaign in entity.campaigns:
        path = _file_of(entity, "campaigns", campaign.name)
        if campaign.template not in templates:
            say(
                path,
                "template",
                f"template {campaign.template!r} is not known.",
                f"Templates: {_listed(templates)}.",
            )
        elif campaign.segment in segments:
            for cause in _form_problems(entity, campaign):
                say(path, "options", cause, "Correct the option; docs/campaigns.md has every field.")
        if campaign.segment not in segments:
            say(
                path,
                "segment",
                f"segment {campaign.segment!r} is not known.",
                f"Segments: {_listed(segments)}.",
            )


def _form_problems(entity: Entity, campaign: CampaignDefinition) -> list[str]:
    """What the form of a campaign's own Dag would refuse every time."""
    from include.campaigns.errors import ParametersInvalid
    from include.campaigns.parameters import freeze

    form = {
        "name": campaign.name,
        "template": campaign.template,
        "segment": campaign.segment,
        **campaign.options,
    }
    try:
        freeze(entity, form)
    except ParametersInvalid as problem:
        return [str(problem)]
    return []


def _check_settings(entity: Entity, say: Say) -> None:
    path, name = entity.folder / "entity.yaml", entity.folder.name
    if entity.name != name:
        say(path, "name", f"name is {entity.name!r}, the folder is {name!r}.", "Give both the same name.")
    wordings = {wording.id for wording in entity.settings.wordings}
    start = entity.settings.keywords.start_wording
    if start is not None and start not in wordings:
        say(path, "keywords", f"start_wording {start!r} is not known.", f"Wordings: {_listed(wordings)}.")
    sources = {source.name for source in entity.sources}
    for source in entity.settings.precedence:
        if source not in sources:
            say(
                path,
                "precedence",
                f"precedence names {source!r}, which is no source.",
                f"Sources: {_listed(sources)}.",
            )


def _check_double_opt_in(entity: Entity, say: Say) -> None:
    choice = entity.settings.double_opt_in
    for source in entity.sources:
        path = _file_of(entity, "sources", source.name)
        if source.double_opt_in and source.kind == "inbound":
            remedy = "Leave it out: the person wrote to you, which is the proof."
            say(path, "double_opt_in", "double_opt_in makes no sense for what people write.", remedy)
        elif source.double_opt_in and choice is None:
            remedy = "Add `double_opt_in: {template: …}` to entity.yaml."
            say(path, "double_opt_in", "double_opt_in needs a message that asks people to confirm.", remedy)
    if choice is None:
        return
    path = entity.folder / "entity.yaml"
    template = {template.name: template for template in entity.templates}.get(choice.template)
    if template is None or template.category != "utility":
        known = {template.name for template in entity.templates if template.category == "utility"}
        cause = f"the template {choice.template!r} of double_opt_in is no utility template of this entity."
        say(path, "double_opt_in", cause, f"Utility templates: {_listed(known)}.")
        return
    for language, text in template.languages.items():
        payloads = {button.payload for button in text.buttons if button.type == "quick_reply"}
        if choice.payload not in payloads:
            cause = f"the template {choice.template!r} has no quick reply {choice.payload!r} in {language}."
            say(path, "double_opt_in", cause, "Add the button, or set `payload` to the one it has.")


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none yet"

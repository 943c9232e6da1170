"""NSGs with their rules, from the files that people have of them.

- `az network nsg list` or `show`, and the REST API's answers: a list or one object, with rules
  flattened or in `properties`;
- ARM templates, or a list of their resources, exported or compiled from Bicep, with what is nested
  in them (arm_template.py);
- `terraform show -json` of a state or a plan
  (https://developer.hashicorp.com/terraform/internals/json-format), with the resources
  `azurerm_network_security_group` and `azurerm_network_security_rule`;
- `az deployment … what-if --no-pretty-print`
  (https://learn.microsoft.com/azure/azure-resource-manager/templates/deploy-what-if).

Rules that a file has without their NSG are patches of one that is known from elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.arm_template import resources_of
from nsgflow_core.estate.rule_json import file_rule, lower_keys, nsg_rules
from nsgflow_core.estate.rules import Rule
from nsgflow_core.estate.shapes import listed, mapping, text, wrong

NSG_TYPE = "microsoft.network/networksecuritygroups"
_RULE_TYPE = f"{NSG_TYPE}/securityrules"
_TERRAFORM_NSG = "azurerm_network_security_group"
_TERRAFORM_RULE = "azurerm_network_security_rule"
_PROVIDER = "/providers/microsoft.network/networksecuritygroups/"


@dataclass
class RuleFiles:
    """What files say of NSGs, by lower-case id, or as much of the end of it as they have.

    `rules` are whole NSGs and `names` their names; `patches` are single rules of NSGs, by lower-
    case name, None where one is taken away; `guids` are ids by the GUIDs that VNet flow logs have;
    `deleted` are NSGs that will be no more, with the file that says so.
    """

    rules: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    patches: dict[str, dict[str, Rule | None]] = field(default_factory=dict)
    guids: dict[str, str] = field(default_factory=dict)
    deleted: dict[str, str] = field(default_factory=dict)
    _taken: int = 0

    def add(self, data: bytes, name: str) -> None:
        """Take in a file.

        Raises:
            BadInputError: it holds no rules that can be read; names the file and the place in it.
        """
        before = self._taken
        try:
            self._document(msgspec.json.decode(_utf8(data)), name)
        except msgspec.DecodeError as exc:
            raise BadInputError(f"{name} is no JSON: {exc}") from exc
        except BadInputError as exc:
            raise BadInputError(f"{name}: {exc}") from exc
        except ValueError as exc:
            raise BadInputError(f"{name} has rules that cannot be read: {exc}") from exc
        if self._taken == before:
            raise BadInputError(
                f"{name} has no NSG: it takes the JSON of 'az network nsg list' or 'show', an ARM "
                "template, 'terraform show -json', or 'az deployment … what-if --no-pretty-print'"
            )

    def _document(self, found: object, name: str) -> None:
        if isinstance(found, list):
            self._resources(resources_of({"resources": found}))
            return
        document = mapping(found, "")
        for key in ("planned_values", "values"):
            if isinstance(document.get(key), dict):
                self._terraform(document[key].get("root_module"), f"{key}.root_module")
                self._terraform_deleted(document.get("resource_changes"), name)
                return
        inner = document.get("properties")
        place = "changes" if document.get("changes") is not None else "properties.changes"
        changes = document.get("changes")
        if changes is None and isinstance(inner, Mapping):
            changes = inner.get("changes")
        if changes is not None:
            self._what_if(changes, place, name)
        elif "resources" in document:
            self._resources(resources_of(document))
        elif isinstance(document.get("value"), list):
            self._document(document["value"], name)
        else:
            self._resources([("", dict(document))])

    def _resources(self, resources: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Resources of Azure with their places: NSGs, and rules that stand by themselves."""
        for place, resource in resources:
            found = lower_keys(resource)
            kind = str(found.get("type") or "").lower()
            if kind not in ("", NSG_TYPE, _RULE_TYPE):
                continue
            given = lower_keys(mapping(found.get("properties"), f"{place}.properties".lstrip(".")))
            rules = given.get("securityrules", found.get("securityrules"))
            if kind == _RULE_TYPE:
                nsg, _, name = text(found, "name", place).rpartition("/")
                key = _key(found.get("id"), nsg).partition("/securityrules/")[0]
                self._patch(key, name, file_rule(name, given, built_in=False))
            elif kind == NSG_TYPE or rules is not None:
                defaults = given.get("defaultsecurityrules", found.get("defaultsecurityrules"))
                name = text(found, "name", place)
                key = _key(found.get("id"), name)
                guid = given.get("resourceguid") or found.get("resourceguid")
                self._nsg(key, name, nsg_rules(rules, defaults, file_rule, place), str(guid or ""))

    def _what_if(self, changes: object, where: str, file: str) -> None:
        """What a deployment would leave: `after`, or `before` where it changes nothing."""
        for place, change in listed(changes, where):
            resource_id = text(change, "resourceId", place)
            key = resource_id.lower()
            if "/networksecuritygroups/" not in key:
                continue
            deleted = str(change.get("changeType")).lower() == "delete"
            state = "before" if deleted or not change.get("after") else "after"
            found = mapping(change.get(state), f"{place}.{state}")
            nsg, rule, name = key.partition("/securityrules/")
            if rule and deleted:
                self._patch(nsg, name, None)
            elif deleted:
                guid = _guid(lower_keys(found), place)
                self._delete(key, resource_id.rpartition("/")[2], guid, file)
            elif found:
                kind = _RULE_TYPE if rule else NSG_TYPE
                named = {"name": resource_id.rpartition("/")[2], "type": kind}
                made = named | dict(found) | {"id": key, "type": kind}
                self._resources([(f"{place}.{state}", made)])

    def _terraform(self, module: object, place: str) -> None:
        for at, kind, found in _terraform_resources(module, place):
            name = text(found, "name", at)
            if kind == _TERRAFORM_NSG:
                rules = [
                    _from_terraform(rule, where)
                    for where, rule in listed(found.get("security_rule"), f"{at}.security_rule")
                ]
                made = nsg_rules(rules, (), file_rule, at)
                self._nsg(_terraform_key(found, name), name, made, "")
            else:
                nsg = text(found, "network_security_group_name", at)
                rule = file_rule(name, _from_terraform(found, at), built_in=False)
                self._patch(_terraform_key(found, nsg), name, rule)

    def _terraform_deleted(self, changes: object, file: str) -> None:
        for place, change in listed(changes, "resource_changes"):
            kind = change.get("type")
            action = mapping(change.get("change"), f"{place}.change")
            if kind not in (_TERRAFORM_NSG, _TERRAFORM_RULE) or action.get("actions") != ["delete"]:
                continue
            at = f"{place}.change.before"
            before = mapping(action.get("before"), at)
            name = text(before, "name", at)
            if kind == _TERRAFORM_NSG:
                self._delete(_terraform_key(before, name), name, "", file)
            else:
                nsg = text(before, "network_security_group_name", at)
                self._patch(_terraform_key(before, nsg), name, None)

    def _delete(self, key: str, name: str, guid: str, file: str) -> None:
        self._taken += 1
        self.rules.pop(key, None)
        self.patches.pop(key, None)
        self.deleted[key] = file
        self.names[key] = name
        if guid:
            self.guids[guid.lower()] = key

    def _nsg(self, key: str, name: str, rules: tuple[Rule, ...], guid: str) -> None:
        self._taken += 1
        self.rules[key] = rules
        self.names[key] = name
        self.deleted.pop(key, None)
        if guid:
            self.guids[guid.lower()] = key
        self._apply(key)

    def _patch(self, key: str, name: str, rule: Rule | None) -> None:
        self._taken += 1
        self.patches.setdefault(key, {})[name.lower()] = rule
        self._apply(key)

    def _apply(self, key: str) -> None:
        """Put rules that stand by themselves into their NSG, where a file has it too."""
        if key in self.rules and key in self.patches:
            self.rules[key] = patched(self.rules[key], self.patches.pop(key))


def patched(rules: Iterable[Rule], changes: Mapping[str, Rule | None]) -> tuple[Rule, ...]:
    """Rules with some of them changed, added or taken away, by lower-case name."""
    left = [rule for rule in rules if rule.name.lower() not in changes]
    return (*left, *(rule for rule in changes.values() if rule is not None))


def _utf8(data: bytes) -> bytes:
    """A file without its mark; what Windows PowerShell redirects is UTF-16."""
    if data.startswith(b"\xff\xfe"):
        return data.decode("utf-16").encode()
    return data.removeprefix(b"\xef\xbb\xbf")


def _key(resource_id: Any, name: str) -> str:
    if isinstance(resource_id, str) and resource_id.startswith("/"):
        return resource_id.rstrip("/").lower()
    return f"{_PROVIDER}{name.lower()}"


def _guid(found: Mapping[str, Any], place: str) -> str:
    inner = lower_keys(mapping(found.get("properties"), f"{place}.before.properties"))
    return str(inner.get("resourceguid") or found.get("resourceguid") or "")


def _terraform_resources(found: object, place: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Place, type and values of each NSG and rule in a module and those below it."""
    module = mapping(found, place)
    for at, resource in listed(module.get("resources"), f"{place}.resources"):
        kind = resource.get("type")
        if kind in (_TERRAFORM_NSG, _TERRAFORM_RULE):
            yield f"{at}.values", kind, mapping(resource.get("values"), f"{at}.values")
    for at, child in listed(module.get("child_modules"), f"{place}.child_modules"):
        yield from _terraform_resources(child, at)


def _terraform_key(found: Mapping[str, Any], nsg: str) -> str:
    """The id of an NSG; a plan does not know that of one to be made, but its group and name."""
    own = str(found.get("id") or found.get("network_security_group_id") or "").lower()
    if own:
        return own.partition("/securityrules/")[0]
    group = str(found.get("resource_group_name") or "").lower()
    return f"/resourcegroups/{group}{_PROVIDER}{nsg.lower()}" if group else _key(None, nsg)


def _from_terraform(rule: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A rule by Azure's names: `source_port_range` is `sourceportrange`."""
    made = {key.replace("_", ""): value for key, value in rule.items()}
    for end in ("source", "destination"):
        groups = made.pop(f"{end}applicationsecuritygroupids", None)
        if groups is not None and not isinstance(groups, list):
            raise wrong(groups, f"{place}.{end}_application_security_group_ids", "a list")
        made[f"{end}applicationsecuritygroups"] = [{"id": group} for group in groups or ()]
    return made


class KnownNsg(msgspec.Struct, frozen=True):
    """An NSG whose rules are known: its id (or what is known of it), its name, its rules."""

    id: str
    name: str
    rules: tuple[Rule, ...]


class Files:
    """NSGs that come from files and stand in for the inventory's; none by default."""

    def __init__(self, found: RuleFiles | None = None) -> None:
        self._found = found or RuleFiles()

    def find(self, nsg: str) -> KnownNsg | None:
        """The NSG with this id or GUID, also where a file names it less fully."""
        found = self._found
        key = nsg.lower()
        key = found.guids.get(key, key)
        named = _named(found.rules, key)
        if named is None:
            return None
        nsg = key if _is_full(key) else named
        return self.patch(KnownNsg(nsg, found.names[named], found.rules[named]))

    def deleted(self, nsg: str) -> str:
        """What says that the NSG with this id or GUID is no more, in words; "" where nothing."""
        found = self._found
        key = nsg.lower()
        named = _named(found.deleted, found.guids.get(key, key))
        if named is None:
            return ""
        return f"NSG {found.names[named]} is deleted in {found.deleted[named]}"

    def patch(self, nsg: KnownNsg) -> KnownNsg:
        """An NSG with the rules of it that stand by themselves in files.

        A plan has some by the NSG's id and others, which are to be made, by less of it.
        """
        rules = nsg.rules
        for key in reversed(_all_named(self._found.patches, nsg.id.lower())):
            rules = patched(rules, self._found.patches[key])
        return KnownNsg(nsg.id, nsg.name, rules)

    def with_rules(self, added: Mapping[str, Sequence[Rule]]) -> "Files":
        """The same, with more rules in some NSGs, by lower-case id; a name is that of one rule."""
        known = self._found
        found = RuleFiles(
            dict(known.rules), known.names, dict(known.patches), known.guids, known.deleted
        )
        for nsg, rules in added.items():
            changes: dict[str, Rule | None] = {rule.name.lower(): rule for rule in rules}
            if (named := _named(found.rules, nsg)) is not None:
                found.rules[named] = patched(found.rules[named], changes)
                continue
            found.patches[nsg] = (found.patches.get(nsg) or {}) | changes
        return Files(found)

    def all(self) -> list[KnownNsg]:
        """All NSGs."""
        found = self._found
        return [KnownNsg(key, found.names[key], rules) for key, rules in found.rules.items()]


def _named(known: Mapping[str, object], nsg: str) -> str | None:
    """How files name an NSG: by its id, or by the end of it."""
    return next(iter(_all_named(known, nsg)), None)


def _all_named(known: Mapping[str, object], nsg: str) -> list[str]:
    """The same, all that there are, the longest first."""
    ends = (key for key in known if not _is_full(key) and nsg.endswith(key))
    found = {nsg, *ends} if nsg in known else ends
    return sorted(found, key=len, reverse=True)


def _is_full(nsg: str) -> bool:
    return nsg.startswith("/subscriptions/")

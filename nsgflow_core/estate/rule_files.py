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

NSG_TYPE = "microsoft.network/networksecuritygroups"
_RULE_TYPE = f"{NSG_TYPE}/securityrules"
_PROVIDER = "/providers/microsoft.network/networksecuritygroups/"


@dataclass
class RuleFiles:
    """What files say of NSGs, by lower-case id, or as much of the end of it as they have.

    `rules` are whole NSGs and `names` their names; `patches` are single rules of NSGs, by lower-
    case name, None where one is taken away; `guids` are ids by the GUIDs that VNet flow logs have.
    """

    rules: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    patches: dict[str, dict[str, Rule | None]] = field(default_factory=dict)
    guids: dict[str, str] = field(default_factory=dict)

    def add(self, data: bytes, name: str) -> None:
        """Take in a file.

        Raises:
            BadInputError: it holds no rules that can be read; names the file and the place in it.
        """
        before = len(self.rules) + len(self.patches)
        try:
            self._document(msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf")))
        except msgspec.DecodeError as exc:
            raise BadInputError(f"{name} is no JSON: {exc}") from exc
        except BadInputError as exc:
            raise BadInputError(f"{name}: {exc}") from exc
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            said = str(exc) if isinstance(exc, ValueError) else repr(exc)
            raise BadInputError(f"{name} has rules that cannot be read: {said}") from exc
        if len(self.rules) + len(self.patches) == before:
            raise BadInputError(
                f"{name} has no NSG: it takes the JSON of 'az network nsg list' or 'show', an ARM "
                "template, 'terraform show -json', or 'az deployment … what-if --no-pretty-print'"
            )

    def _document(self, document: Any) -> None:
        if isinstance(document, list):
            self._resources(resources_of({"resources": document}))
            return
        for key in ("planned_values", "values"):
            if isinstance(document.get(key), dict):
                self._terraform(document[key].get("root_module") or {})
                self._terraform_deleted(document.get("resource_changes") or ())
                return
        changes = document.get("changes") or (document.get("properties") or {}).get("changes")
        if changes is not None:
            self._what_if(changes)
        elif "resources" in document:
            self._resources(resources_of(document))
        elif isinstance(document.get("value"), list):
            self._document(document["value"])
        else:
            self._resources([document])

    def _resources(self, resources: Iterable[Mapping[str, Any]]) -> None:
        """Resources of Azure: NSGs, and rules that stand by themselves."""
        for resource in resources:
            found = lower_keys(resource)
            given = lower_keys(found.get("properties") or {})
            kind = str(found.get("type") or "").lower()
            rules = given.get("securityrules", found.get("securityrules"))
            if kind == _RULE_TYPE:
                nsg, _, name = str(found["name"]).rpartition("/")
                key = _key(found.get("id"), nsg).partition("/securityrules/")[0]
                self._patch(key, name, file_rule(name, given, built_in=False))
            elif kind == NSG_TYPE or (not kind and rules is not None):
                defaults = given.get("defaultsecurityrules", found.get("defaultsecurityrules"))
                name = str(found["name"])
                key = _key(found.get("id"), name)
                guid = given.get("resourceguid") or found.get("resourceguid")
                self._nsg(key, name, nsg_rules(rules, defaults, file_rule), str(guid or ""))

    def _what_if(self, changes: Iterable[Mapping[str, Any]]) -> None:
        """What a deployment would leave: `after`, or `before` where it changes nothing."""
        for change in changes:
            key = str(change["resourceId"]).lower()
            deleted = str(change.get("changeType")).lower() == "delete"
            found = change.get("after") or (None if deleted else change.get("before"))
            if "/networksecuritygroups/" not in key:
                continue
            nsg, rule, name = key.partition("/securityrules/")
            if rule and deleted:
                self.patches.setdefault(nsg, {})[name] = None
            elif found is not None:
                kind = _RULE_TYPE if rule else NSG_TYPE
                named = {"name": str(change["resourceId"]).rpartition("/")[2], "type": kind}
                self._resources([named | dict(found) | {"id": key, "type": kind}])

    def _terraform(self, module: Mapping[str, Any]) -> None:
        for kind, found in _terraform_resources(module):
            if kind == "azurerm_network_security_group":
                rules = [_from_terraform(rule) for rule in found.get("security_rule") or ()]
                key = _terraform_key(found, str(found["name"]))
                self._nsg(key, str(found["name"]), nsg_rules(rules, (), file_rule), "")
            else:
                self._patch(
                    _terraform_key(found, str(found["network_security_group_name"])),
                    str(found["name"]),
                    file_rule(str(found["name"]), _from_terraform(found), built_in=False),
                )

    def _terraform_deleted(self, changes: Iterable[Mapping[str, Any]]) -> None:
        for change in changes:
            action = change.get("change") or {}
            if change.get("type") != "azurerm_network_security_rule":
                continue
            if action.get("actions") == ["delete"]:
                before = action.get("before") or {}
                key = _terraform_key(before, str(before.get("network_security_group_name")))
                self.patches.setdefault(key, {})[str(before.get("name")).lower()] = None

    def _nsg(self, key: str, name: str, rules: tuple[Rule, ...], guid: str) -> None:
        self.rules[key] = rules
        self.names[key] = name
        if guid:
            self.guids[guid.lower()] = key
        self._apply(key)

    def _patch(self, key: str, name: str, rule: Rule) -> None:
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


def _key(resource_id: Any, name: str) -> str:
    if isinstance(resource_id, str) and resource_id.startswith("/"):
        return resource_id.rstrip("/").lower()
    return f"{_PROVIDER}{name.lower()}"


def _terraform_resources(module: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for resource in module.get("resources") or ():
        if resource.get("type") in (
            "azurerm_network_security_group",
            "azurerm_network_security_rule",
        ):
            yield resource["type"], resource.get("values") or {}
    for child in module.get("child_modules") or ():
        yield from _terraform_resources(child)


def _terraform_key(found: Mapping[str, Any], nsg: str) -> str:
    """The id of an NSG; a plan does not know that of one to be made, but its group and name."""
    own = str(found.get("id") or found.get("network_security_group_id") or "").lower()
    if own:
        return own.partition("/securityrules/")[0]
    group = str(found.get("resource_group_name") or "").lower()
    return f"/resourcegroups/{group}{_PROVIDER}{nsg.lower()}" if group else _key(None, nsg)


def _from_terraform(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule by Azure's names: `source_port_range` is `sourceportrange`."""
    made = {key.replace("_", ""): value for key, value in rule.items()}
    for end in ("source", "destination"):
        groups = made.pop(f"{end}applicationsecuritygroupids", None) or ()
        made[f"{end}applicationsecuritygroups"] = [{"id": group} for group in groups]
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
        found = RuleFiles(dict(known.rules), known.names, dict(known.patches), known.guids)
        for nsg, rules in added.items():
            changes: dict[str, Rule | None] = {rule.name.lower(): rule for rule in rules}
            if (named := _named(found.rules, nsg)) is not None:
                found.rules[named] = patched(found.rules[named], changes)
                continue
            found.patches[nsg] = (found.patches.get(nsg) or {}) | changes
        return Files(found)

    def named(self, name: str) -> list[KnownNsg]:
        """The NSGs with this name, in any case."""
        found = self._found
        return [
            KnownNsg(key, found.names[key], rules)
            for key, rules in found.rules.items()
            if found.names[key].lower() == name.lower()
        ]


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

// Type-checks Kusto queries with the language service that the Azure portal uses.
//
// stdin, JSON:
//   tables     {name: "Column:type, …"}
//   functions  {name: {parameters: "(name:type=default)", body: "…"}}
//   queries    {name: "…"}
// stdout, JSON: for each query {diagnostics: [{severity, code, message, text}],
//   columns: {name: type} | null}
"use strict";

// The package's bundles put their globals where they are loaded; bridge.js comes first.
require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");

const { KustoCode, GlobalState, Symbols } = globalThis.Kusto.Language;

function listed(list) {
  return Array.from({ length: list.Count }, (_, index) => list.getItem(index));
}

function globals(tables, functions) {
  const { TableSymbol, FunctionSymbol, DatabaseSymbol } = Symbols;
  const members = [
    ...Object.entries(tables).map(([name, columns]) =>
      TableSymbol.From(`(${columns})`).WithName(name),
    ),
    // $ctor16 is (name, parameters, body, description); package.json pins the version.
    ...Object.entries(functions).map(
      ([name, { parameters, body }]) => new FunctionSymbol.$ctor16(name, parameters, body, null),
    ),
  ];
  return GlobalState.Default.WithDatabase(new DatabaseSymbol.$ctor1("workspace", members, false));
}

function check(text, state) {
  const code = KustoCode.ParseAndAnalyze(text, state);
  const diagnostics = listed(code.GetDiagnostics()).map((found) => ({
    severity: found.Severity,
    code: found.Code,
    message: found.Message,
    text: text.substr(found.Start, found.Length),
  }));
  const result = code.ResultType;
  const columns =
    result && result.Columns
      ? Object.fromEntries(listed(result.Columns).map((at) => [at.Name, at.Type.Name]))
      : null;
  return { diagnostics, columns };
}

const { tables, functions, queries } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const state = globals(tables, functions);
const results = Object.entries(queries).map(([name, text]) => [name, check(text, state)]);
process.stdout.write(JSON.stringify(Object.fromEntries(results)));

metadata name = 'Alerts'
metadata description = 'The alert rules over flows and over the pipeline\'s own lines.'

import { alertSettings } from '../types.bicep'

@description('Required. Where the rules look, whom they tell, and what they are.')
param settings alertSettings

var options = settings.options
var ports = options.?watched.?ports ?? []
var nsgs = options.?watched.?nsgs ?? []
var watched = (options.?watched.?enabled ?? true) && (!empty(ports) || !empty(nsgs))
var everyMinute = options.?watched.?everyMinute ?? false

// Lists as KQL takes them in every kind of rule: with something that never matches, since a list
// may not be empty.
var portList = join(map(concat([-1], ports), port => string(port)), ', ')
var nsgList = join(map(concat([''], nsgs), nsg => '\'${toLower(nsg)}\''), ', ')

// How a rule's ISO 8601 duration is written in KQL.
var spans = { PT30M: '30m', PT45M: '45m', PT1H: '1h', PT2H: '2h', PT3H: '3h', PT6H: '6h', P1D: '1d' }

var values = {
  insightsId: settings.insightsId
  ports: portList
  nsgs: nsgList
  factor: string(options.?surge.?factor ?? 5)
  minimum: string(options.?surge.?minimum ?? 500)
  failures: string(options.?delivery.?failures ?? 5)
  connections: string(settings.connectionCount)
  lagMinutes: string(options.?delivery.?lagMinutes ?? 10)
  quiet: spans[options.?quiet.?window ?? 'PT1H']
}

// Rows arrive one to three minutes after their own time, so rules over rows look at what was
// ingested since they last ran, within a window that is wide enough for the rows' own time.
// Queries end in a summary without a time, so that the whole window is one measure.
var rules = [
  {
    name: 'nsgflow-denied-watched'
    enabled: settings.rowAlerts && watched && !everyMinute
    displayName: 'nsgflow: denied flows to a watched port or NSG'
    severity: 2
    frequency: 'PT5M'
    window: 'PT1H'
    query: loadTextContent('../queries/alert-denied-watched.kql')
    measure: 'Flows'
    dimensions: ['Nsg', 'Rule', 'Port']
    threshold: options.?watched.?threshold ?? 1
  }
  {
    name: 'nsgflow-surge'
    enabled: settings.rowAlerts && (options.?surge.?enabled ?? true)
    displayName: 'nsgflow: far more denied flows than in the last day'
    severity: 2
    frequency: 'PT15M'
    window: 'P1D'
    query: loadTextContent('../queries/alert-surge.kql')
    measure: 'Denied'
    dimensions: ['Nsg']
    threshold: 1
  }
  {
    name: 'nsgflow-quiet'
    enabled: options.?quiet.?enabled ?? true
    displayName: 'nsgflow: the pipeline has gone quiet'
    severity: 1
    frequency: 'PT15M'
    // The longest that a rule may look back: whether the app has ever said anything. Not tried with
    // this frequency: docs/unverified.md.
    window: 'P2D'
    query: loadTextContent('../queries/alert-quiet.kql')
    measure: 'Quiet'
    dimensions: []
    threshold: 1
  }
  {
    name: 'nsgflow-delivery'
    enabled: options.?delivery.?enabled ?? true
    displayName: 'nsgflow: delivery fails or lags'
    severity: 1
    frequency: 'PT5M'
    window: 'PT15M'
    query: loadTextContent('../queries/alert-delivery.kql')
    measure: 'Troubles'
    dimensions: []
    threshold: 1
  }
  {
    name: 'nsgflow-dead-letters'
    enabled: options.?deadLetters.?enabled ?? true
    displayName: 'nsgflow: flows that could not be read were put aside'
    severity: 3
    frequency: 'PT15M'
    window: 'PT15M'
    query: loadTextContent('../queries/alert-dead-letters.kql')
    measure: 'DeadLetters'
    dimensions: []
    threshold: options.?deadLetters.?threshold ?? 1
  }
  {
    name: 'nsgflow-poison'
    enabled: options.?poison.?enabled ?? true
    displayName: 'nsgflow: events went to the poison queue'
    severity: 3
    frequency: 'PT15M'
    window: 'PT15M'
    query: loadTextContent('../queries/alert-poison.kql')
    measure: 'Messages'
    dimensions: []
    threshold: options.?poison.?threshold ?? 5
  }
  {
    name: 'nsgflow-host'
    enabled: options.?host.?enabled ?? true
    displayName: 'nsgflow: the host stopped itself'
    severity: 1
    frequency: 'PT15M'
    window: 'PT15M'
    query: loadTextContent('../queries/alert-host.kql')
    measure: 'Stops'
    dimensions: []
    threshold: options.?host.?threshold ?? 1
  }
]

var actionGroups = empty(settings.actionGroupId) ? [] : [settings.actionGroupId]

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in filter(rules, rule => rule.enabled): {
    name: rule.name
    location: settings.location
    tags: settings.tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.displayName
      description: 'One of nsgflow\'s rules; docs/operations.md says what to do about it.'
      enabled: true
      severity: rule.severity
      scopes: [settings.workspaceId]
      evaluationFrequency: rule.frequency
      windowSize: rule.window
      // A new table has no rows yet, and the validation asks for its columns.
      skipQueryValidation: true
      autoMitigate: true
      criteria: {
        allOf: [
          {
            query: reduce(
              items(values),
              rule.query,
              (query, value) => replace(string(query), '{{${value.key}}}', value.value)
            )
            metricMeasureColumn: rule.measure
            timeAggregation: 'Total'
            dimensions: map(rule.dimensions, dimension => {
              name: dimension
              operator: 'Include'
              values: ['*']
            })
            operator: 'GreaterThanOrEqual'
            threshold: rule.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: actionGroups }
    }
  }
]

// A simple log alert looks at each row as it comes and takes neither let, ingestion_time(),
// union nor saved functions. It sets no frequency and no window: it has its own.
resource simpleAlert 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = if (watched && everyMinute) {
  name: 'nsgflow-denied-watched-minute'
  location: settings.location
  tags: settings.tags
  kind: 'SimpleLogAlert'
  properties: {
    displayName: 'nsgflow: denied flows to a watched port or NSG, each minute'
    description: 'One of nsgflow\'s rules; docs/operations.md says what to do about it.'
    enabled: true
    severity: 2
    scopes: [settings.workspaceId]
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: reduce(
            items(values),
            loadTextContent('../queries/alert-denied-watched-minute.kql'),
            (query, value) => replace(string(query), '{{${value.key}}}', value.value)
          )
          minRecurrenceCount: options.?watched.?threshold ?? 1
        }
      ]
    }
    actions: { actionGroups: actionGroups }
  }
}

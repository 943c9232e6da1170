metadata name = 'Types'
metadata description = 'Types of parameters that more than one file uses.'

@export()
@description('An existing storage account with flow logs.')
type flowLogAccount = {
  @description('Required. Resource id of the account, in any resource group, region or subscription of the tenant.')
  resourceId: string

  @description('Optional. Name of the connection: a letter, then letters, digits and underscores. The default is FlowLogs for the first account, then FlowLogs2, FlowLogs3 and so on.')
  connection: string?

  @description('Optional. Name of the account\'s Event Grid system topic if it has one already: an account can have only one. The default is to make it.')
  systemTopicName: string?

  @description('Optional. Resource group of that topic, in the account\'s subscription. The default is the account\'s.')
  systemTopicResourceGroup: string?

  @description('Optional. Whether that topic has a system-assigned identity; without one, events that cannot be delivered are dropped and left to the sweep. The default is false.')
  systemTopicHasIdentity: bool?
}

@export()
@description('A flow-log account as the app connects to it.')
type flowLogConnection = {
  @description('Required. Name of the connection.')
  name: string

  @description('Required. Blob service that has the flow logs.')
  blobEndpoint: string

  @description('Required. Queue service that the trigger puts poison messages on.')
  queueEndpoint: string
}

@export()
@description('What the app delivers, and where: the settings of nsgflow.')
type nsgflowOptions = {
  @description('Required. Table of the checkpoints.')
  stateTable: string

  @description('Required. Days after which checkpoints are deleted.')
  stateDays: int

  @description('Required. Container of dead letters, inventory and service tags.')
  stateContainer: string

  @description('Required. Logs Ingestion endpoint.')
  logsEndpoint: string

  @description('Required. Immutable id of the data collection rule.')
  logsRuleId: string

  @description('Required. Stream of the data collection rule.')
  logsStream: string

  @description('Required. Filter terms of what goes to the table.')
  logsFilter: string

  @description('Required. Reference to the webhook\'s URL, or empty for none.')
  webhookUrl: string

  @description('Required. Format of the webhook\'s alerts.')
  webhookFormat: string

  @description('Required. Reference to the secret that signs alerts, or empty for none.')
  webhookSecret: string

  @description('Required. Filter terms of which denied flows alert.')
  webhookFilter: string

  @description('Required. Age in minutes past which flows do not alert; 0 for no limit.')
  webhookMaxAgeMinutes: int

  @description('Required. Seconds in which at most one digest is sent.')
  webhookIntervalSeconds: int

  @description('Required. Minutes in which a digest does not repeat what was told.')
  webhookRepeatMinutes: int

  @description('Required. Hours that the sweep looks back.')
  sweepHours: int

  @description('Required. Source of the service tags, or empty for none.')
  serviceTags: string

  @description('Required. Source of names, resourcegraph or empty for none.')
  inventory: string

  @description('Required. Resource id of the workspace, for links in alerts.')
  workspaceId: string
}

@export()
@description('A system topic, and the connection whose events it has.')
type eventSource = {
  @description('Required. Name of the connection.')
  connection: string

  @description('Required. Subscription of the topic.')
  subscriptionId: string

  @description('Required. Resource group of the topic.')
  resourceGroup: string

  @description('Required. Name of the topic.')
  systemTopicName: string

  @description('Required. Whether the topic\'s identity puts events that it cannot deliver into host storage.')
  deadLetter: bool
}

@export()
@description('Alert rules. Every member is optional; a rule that is not named keeps its defaults.')
type alertOptions = {
  @description('Optional. Denied flows to watched ports or NSGs.')
  watched: {
    @description('Optional. Whether the rule is on. The default is true; it also needs ports or NSGs.')
    enabled: bool?

    @description('Optional. Destination ports to watch. The default is none.')
    ports: int[]?

    @description('Optional. Names of NSGs to watch. The default is none.')
    nsgs: string[]?

    @description('Optional. Flows in 5 minutes, of one NSG, rule and port, that alert. The default is 1.')
    threshold: int?

    @description('Optional. Use a simple log alert, which looks at every row each minute, in place of the 5-minute rule. It works with the plan Basic too; threshold is then the rows in a minute, over all. The default is false.')
    everyMinute: bool?
  }?

  @description('Optional. A surge of denials of an NSG in 15 minutes against the last day.')
  surge: {
    @description('Optional. Whether the rule is on. The default is true.')
    enabled: bool?

    @description('Optional. How many times the usual count alerts. The default is 5.')
    factor: int?

    @description('Optional. Denials in 15 minutes below which nothing alerts. The default is 500.')
    minimum: int?
  }?

  @description('Optional. The pipeline has gone quiet.')
  quiet: {
    @description('Optional. Whether the rule is on. The default is true.')
    enabled: bool?

    @description('Optional. How long without a sweep or a record alerts. The default is PT1H.')
    window: ('PT30M' | 'PT45M' | 'PT1H' | 'PT2H' | 'PT3H' | 'PT6H' | 'P1D')?
  }?

  @description('Optional. Delivery fails, or lags.')
  delivery: {
    @description('Optional. Whether the rule is on. The default is true.')
    enabled: bool?

    @description('Optional. Failed deliveries in 15 minutes that alert. The default is 5.')
    failures: int?

    @description('Optional. Lag in minutes that alerts. The default is 10.')
    lagMinutes: int?
  }?

  @description('Optional. Flows that could not be read were put aside.')
  deadLetters: {
    @description('Optional. Whether the rule is on. The default is true.')
    enabled: bool?

    @description('Optional. Dead letters in 15 minutes that alert. The default is 1.')
    threshold: int?
  }?

  @description('Optional. Events failed five times and went to the poison queue; the sweep still delivers their blobs.')
  poison: {
    @description('Optional. Whether the rule is on. The default is true.')
    enabled: bool?

    @description('Optional. Poison messages in 15 minutes that alert. The default is 5: five tries are over in a second, so a hiccup makes a few.')
    threshold: int?
  }?

  @description('Optional. The Functions host stopped itself: it could not look at the blob of an event, or a run took too long.')
  host: {
    @description('Optional. Whether the rule is on. The default is true.')
    enabled: bool?

    @description('Optional. Stops in 15 minutes that alert. The default is 1.')
    threshold: int?
  }?
}

metadata name = 'Types'
metadata description = 'Types and rules of names that more than one file uses.'

@export()
@description('An existing storage account with flow logs.')
type flowLogAccount = {
  @description('Required. Resource id of the account, in any resource group, region or subscription of the tenant.')
  resourceId: string

  @description('Optional. Name of the connection: a letter, then letters, digits and underscores. The default is FlowLogs for the first account, then FlowLogs2, FlowLogs3 and so on. With the blob trigger, host.json must let the functions\' lines through; it does for FlowLogs to FlowLogs9.')
  @minLength(1)
  @maxLength(24)
  connection: string?

  @description('Optional. Name of the account\'s Event Grid system topic if it has one already: an account can have only one. The default is to make it.')
  systemTopicName: string?

  @description('Optional. Resource group of that topic, in the account\'s subscription. The default is the account\'s.')
  systemTopicResourceGroup: string?

  @description('Optional. Whether that topic has a system-assigned identity. Without one, events that cannot be delivered are dropped and left to the sweep, and events cannot come by queue. The default is false.')
  systemTopicHasIdentity: bool?
}

@export()
@description('Names to give, in place of the abbreviation, the prefix and a token.')
type resourceNames = {
  @description('Optional. Name of the user-assigned identity.')
  identity: string?

  @description('Optional. Name of nsgflow\'s own storage account.')
  @minLength(3)
  @maxLength(24)
  storageAccount: string?

  @description('Optional. Name of the plan.')
  plan: string?

  @description('Optional. Name of the app. The host tells apps apart by its first 32 characters.')
  @minLength(2)
  @maxLength(32)
  functionApp: string?

  @description('Optional. Name of Application Insights.')
  applicationInsights: string?

  @description('Optional. Name of a new workspace.')
  @minLength(4)
  @maxLength(63)
  workspace: string?

  @description('Optional. Name of the Key Vault.')
  @minLength(3)
  @maxLength(24)
  keyVault: string?

  @description('Optional. Name of the data collection rule.')
  @minLength(3)
  @maxLength(30)
  dataCollectionRule: string?

  @description('Optional. Name of the action group.')
  actionGroup: string?

  @description('Optional. Name of the virtual network.')
  virtualNetwork: string?

  @description('Optional. What the names of private endpoints begin with.')
  @maxLength(32)
  privateEndpoint: string?
}

@export()
@description('Private DNS zones that exist, by resource id.')
type dnsZones = {
  @description('Optional. Zone privatelink.blob.core.windows.net.')
  blob: string?

  @description('Optional. Zone privatelink.queue.core.windows.net.')
  queue: string?

  @description('Optional. Zone privatelink.table.core.windows.net.')
  table: string?

  @description('Optional. Zone privatelink.vaultcore.azure.net.')
  vault: string?
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

// function_app.py registers the functions <kind>_<connection> on these containers.
@export()
@description('The kinds of flow logs, and the container of each.')
var logKinds = [
  { kind: 'nsg', container: 'insights-logs-networksecuritygroupflowevent' }
  { kind: 'vnet', container: 'insights-logs-flowlogflowevent' }
]

@export()
@description('What the alert rules need to know; it is an output of main.bicep.')
type alertSettings = {
  @description('Required. Whether there are to be rules.')
  enabled: bool

  @description('Required. Region of the rules, which must be the workspace\'s.')
  location: string

  @description('Required. Tags of the rules.')
  tags: object

  @description('Required. Resource id of the workspace.')
  workspaceId: string

  @description('Required. Resource id of Application Insights, whose lines the rules look at.')
  insightsId: string

  @description('Required. Resource id of the action group to tell, or empty for none.')
  actionGroupId: string

  @description('Required. Number of connections, each of which is to be swept.')
  connectionCount: int

  @description('Required. Whether rules over rows are on: 5-minute rules need the table\'s plan Analytics.')
  rowAlerts: bool

  @description('Required. Switches and thresholds of the rules.')
  options: alertOptions
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

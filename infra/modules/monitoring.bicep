metadata name = 'Monitoring'
metadata description = 'Where rows and the app\'s own lines go, its right to send them, and the workbook that shows them.'

targetScope = 'subscription'

import { resourceNames } from '../types.bicep'

@description('Required. Resource group of what is made.')
param resourceGroupName string

@description('Required. Region of what is made.')
param location string

@description('Required. Tags of what is made.')
param tags object

@description('Required. What makes the names of deployments differ from those of another nsgflow.')
param token string

@description('Required. What names have after the abbreviation.')
param stem string

@description('Required. Names to give in place of those.')
param names resourceNames

@description('Required. Resource id of an existing workspace, or empty to make one.')
param workspaceId string

@description('Required. Resource id of an existing Application Insights, or empty to make one.')
param applicationInsightsId string

@description('Required. Plan of the table.')
param tablePlan string

@description('Required. Days that rows are kept for queries.')
param retentionInDays int

@description('Required. Days that rows are kept in all, or -1 for retentionInDays.')
param totalRetentionInDays int

@description('Required. Object id of the app\'s identity.')
param principalId string

@description('Required. Role that lets it send: Monitoring Metrics Publisher.')
param publisherRoleId string

var abbreviations = loadJsonContent('../abbreviations.json')
var workspaceExists = !empty(workspaceId)
var workspaceName = workspaceExists
  ? last(split(workspaceId, '/'))
  : names.?workspace ?? '${abbreviations.logAnalyticsWorkspace}${stem}'
var insightsExist = !empty(applicationInsightsId)

module workspace 'workspace.bicep' = {
  name: 'nsgflow-workspace-${token}'
  scope: resourceGroup(
    workspaceExists ? split(workspaceId, '/')[2] : subscription().subscriptionId,
    workspaceExists ? split(workspaceId, '/')[4] : resourceGroupName
  )
  params: {
    name: workspaceName
    exists: workspaceExists
    location: location
    tags: tags
  }
}

module table 'table.bicep' = {
  name: 'nsgflow-table-${token}'
  scope: resourceGroup(
    workspaceExists ? split(workspaceId, '/')[2] : subscription().subscriptionId,
    workspaceExists ? split(workspaceId, '/')[4] : resourceGroupName
  )
  params: {
    workspaceName: workspaceName
    plan: tablePlan
    retentionInDays: retentionInDays
    totalRetentionInDays: totalRetentionInDays
  }
  dependsOn: [workspace]
}

module dataCollectionRule 'data-collection-rule.bicep' = {
  name: 'nsgflow-data-collection-rule'
  scope: resourceGroup(resourceGroupName)
  params: {
    name: names.?dataCollectionRule ?? '${abbreviations.dataCollectionRule}${stem}'
    location: workspace.outputs.location
    tags: tags
    workspaceId: workspace.outputs.resourceId
    tableName: table.outputs.name
  }
}

module applicationInsights 'application-insights.bicep' = {
  name: 'nsgflow-application-insights-${token}'
  scope: resourceGroup(
    insightsExist ? split(applicationInsightsId, '/')[2] : subscription().subscriptionId,
    insightsExist ? split(applicationInsightsId, '/')[4] : resourceGroupName
  )
  params: {
    name: insightsExist
      ? last(split(applicationInsightsId, '/'))
      : names.?applicationInsights ?? '${abbreviations.applicationInsights}${stem}'
    exists: insightsExist
    location: location
    tags: tags
    workspaceId: workspace.outputs.resourceId
  }
}

module workbook 'workbook.bicep' = {
  name: 'nsgflow-workbook'
  scope: resourceGroup(resourceGroupName)
  params: {
    location: location
    tags: tags
    workspaceId: workspace.outputs.resourceId
    insightsId: applicationInsights.outputs.resourceId
  }
}

module ruleRole 'role-assignment.json' = {
  name: 'nsgflow-role-rule'
  scope: resourceGroup(resourceGroupName)
  params: {
    scope: dataCollectionRule.outputs.resourceId
    roleId: publisherRoleId
    principalId: principalId
  }
}

module insightsRole 'role-assignment.json' = {
  name: 'nsgflow-role-insights-${token}'
  scope: resourceGroup(
    insightsExist ? split(applicationInsightsId, '/')[2] : subscription().subscriptionId,
    insightsExist ? split(applicationInsightsId, '/')[4] : resourceGroupName
  )
  params: {
    scope: applicationInsights.outputs.resourceId
    roleId: publisherRoleId
    principalId: principalId
  }
}

@description('Resource id of the workspace.')
output workspaceId string = workspace.outputs.resourceId

@description('Region of the workspace.')
output workspaceLocation string = workspace.outputs.location

@description('Resource id of Application Insights.')
output insightsId string = applicationInsights.outputs.resourceId

@description('Connection string of Application Insights.')
output insightsConnectionString string = applicationInsights.outputs.connectionString

@description('Logs Ingestion endpoint.')
output logsEndpoint string = dataCollectionRule.outputs.endpoint

@description('Immutable id of the data collection rule.')
output logsRuleId string = dataCollectionRule.outputs.immutableId

@description('Stream of the data collection rule.')
output logsStream string = dataCollectionRule.outputs.stream

@description('Resource id of the workbook.')
output workbookId string = workbook.outputs.resourceId

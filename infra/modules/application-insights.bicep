metadata name = 'Application Insights'
metadata description = 'Where the app reports about itself: a new component that only identities may write to, or one that exists.'

@description('Required. Name of the component.')
param name string

@description('Required. Whether the component exists; then it is only read.')
param exists bool

@description('Required. Region of a new component.')
param location string

@description('Required. Tags of a new component.')
param tags object

@description('Required. Resource id of the workspace that holds the data.')
param workspaceId string

resource existingComponent 'Microsoft.Insights/components@2020-02-02' existing = if (exists) {
  name: name
}

resource newComponent 'Microsoft.Insights/components@2020-02-02' = if (!exists) {
  name: name
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspaceId
    DisableLocalAuth: true
  }
}

@description('Resource id of the component.')
output resourceId string = resourceId('Microsoft.Insights/components', name)

@description('Connection string: where to send. It is no secret where local authentication is off, as in a new component.')
output connectionString string = exists
  ? existingComponent!.properties.ConnectionString
  : newComponent!.properties.ConnectionString

metadata name = 'Application Insights'
metadata description = 'What the app reports about itself, in the workspace; only identities may write.'

@description('Required. Name of the component.')
param name string

@description('Required. Region of the component.')
param location string

@description('Required. Tags of the component.')
param tags object

@description('Required. Resource id of the workspace that holds the data.')
param workspaceId string

resource component 'Microsoft.Insights/components@2020-02-02' = {
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
output resourceId string = component.id

@description('Connection string: where to send, not a secret, since local authentication is off.')
output connectionString string = component.properties.ConnectionString

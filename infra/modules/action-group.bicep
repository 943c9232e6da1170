metadata name = 'Action group'
metadata description = 'Whom the alert rules tell.'

@description('Required. Name of the action group.')
param name string

@description('Required. Tags of the action group.')
param tags object

@description('Required. E-mail addresses to tell.')
param emails string[]

@description('Required. Webhook to tell with the common alert schema, or empty for none.')
@secure()
param webhookUrl string

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'nsgflow'
    emailReceivers: [
      for (email, index) in emails: {
        name: 'email-${index}'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
    webhookReceivers: empty(webhookUrl)
      ? []
      : [
          {
            name: 'webhook'
            serviceUri: webhookUrl
            useCommonAlertSchema: true
          }
        ]
  }
}

@description('Resource id of the action group.')
output resourceId string = actionGroup.id

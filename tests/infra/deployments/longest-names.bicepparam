using '../../../infra/main.bicep'

param environmentName = 'a-name-of-sixty-four-letters-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
param location = 'westeurope'
param namePrefix = 'Contoso'
param flowLogAccounts = [
  {
    resourceId: '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/network/providers/microsoft.storage/STORAGEACCOUNTS/ANAMEOFTWENTYFOURLETTERS'
    connection: 'A_name_of_24_letters_Xxx'
  }
]
param triggerSource = 'Queue'
param names = {
  functionApp: 'an-app-of-thirty-two-letters-xxx'
  privateEndpoint: 'endpoints-of-thirty-two-letters-'
}
param privateNetworking = true
param webhookUrl = 'https://hooks.example.org/url-of-the-webhook'
param alertEmails = ['noc@example.org']

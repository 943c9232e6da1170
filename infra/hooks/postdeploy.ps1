# Subscribes the app to the events of the flow-log accounts: infra/events.bicep, which needs a key
# that the app makes when it first runs. Safe to run again at any time.
#
#   azd hooks run postdeploy                    after azd up; azd passes the outputs on
#   infra/hooks/postdeploy.ps1 DEPLOYMENT       after az deployment sub create --name DEPLOYMENT
#
# NSGFLOW_KEY_WAIT_SECONDS: how long to wait for the key (300).
param([string] $Deployment)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $false

function Stop-Hook([string] $Message) {
    [Console]::Error.WriteLine("nsgflow: $Message")
    exit 1
}

if (-not (Get-Command az -ErrorAction SilentlyContinue)) {
    Stop-Hook 'the Azure CLI (az) is needed: see docs/deployment.md'
}

$names = 'AZURE_LOCATION', 'AZURE_RESOURCE_GROUP', 'AZURE_FUNCTION_APP_NAME',
    'NSGFLOW_DEAD_LETTER_STORAGE_ID', 'NSGFLOW_DEAD_LETTER_CONTAINER', 'NSGFLOW_EVENT_SOURCES'
$values = @{}
$scope = @()
if ($Deployment) {
    $json = az deployment sub show --name $Deployment --output json --query properties.outputs
    if ($LASTEXITCODE -ne 0) { exit 1 }
    # Resource Manager may write AZURE_X as azurE_X; PowerShell does not mind.
    $outputs = $json | Out-String | ConvertFrom-Json
    foreach ($name in $names) {
        $output = $outputs.PSObject.Properties[$name]
        if ($output) { $values[$name] = $output.Value.value }
    }
} else {
    foreach ($name in $names) { $values[$name] = [Environment]::GetEnvironmentVariable($name) }
    if ($values['NSGFLOW_EVENT_SOURCES']) {
        $values['NSGFLOW_EVENT_SOURCES'] = @($values['NSGFLOW_EVENT_SOURCES'] | ConvertFrom-Json)
    }
    # azd may be in another subscription than az is.
    if ($env:AZURE_SUBSCRIPTION_ID) { $scope = '--subscription', $env:AZURE_SUBSCRIPTION_ID }
}
foreach ($name in $names) {
    if (-not $values[$name]) {
        Stop-Hook ("$name is not set. Run this with azd hooks run postdeploy, or name the " +
            'deployment of infra/main.bicep: infra/hooks/postdeploy.ps1 DEPLOYMENT')
    }
}
$group = $values['AZURE_RESOURCE_GROUP']
$app = $values['AZURE_FUNCTION_APP_NAME']
$messages = New-TemporaryFile
$parameters = New-TemporaryFile

# Whether the app has the key: yes, no, or nothing when az failed. It is never printed.
function Test-Key {
    az functionapp keys list @scope --resource-group $group --name $app --output tsv `
        --query "systemKeys.blobs_extension && 'yes' || 'no'" 2> $messages
}

try {
    $wait = if ($env:NSGFLOW_KEY_WAIT_SECONDS) { [int] $env:NSGFLOW_KEY_WAIT_SECONDS } else { 300 }
    $waited = 0
    $found = Test-Key
    while ($found -ne 'yes' -and $waited -lt $wait) {
        if ($waited -eq 0) { Write-Host "Waiting for the app's key, up to $wait seconds …" }
        Start-Sleep -Seconds 10
        $waited += 10
        $found = Test-Key
    }
    if ($found -ne 'yes') {
        if (-not $found) { [Console]::Error.WriteLine((Get-Content -Raw $messages)) }
        Stop-Hook ("the app $app has no key blobs_extension yet. It makes the key when it first " +
            'runs with the code of nsgflow: deploy the code, look in Application Insights for ' +
            'why the app does not start, and run this again.')
    }

    @{
        '$schema' = 'https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#'
        contentVersion = '1.0.0.0'
        parameters = @{
            appName = @{ value = $app }
            resourceGroupName = @{ value = $group }
            deadLetterStorageId = @{ value = $values['NSGFLOW_DEAD_LETTER_STORAGE_ID'] }
            deadLetterContainer = @{ value = $values['NSGFLOW_DEAD_LETTER_CONTAINER'] }
            sources = @{ value = @($values['NSGFLOW_EVENT_SOURCES']) }
        }
    } | ConvertTo-Json -Depth 8 | Set-Content -Encoding utf8 $parameters

    Write-Host "Subscribing $app to the events of the flow logs …"
    az deployment sub create @scope --name "nsgflow-events-$app" `
        --location $values['AZURE_LOCATION'] --template-file "$PSScriptRoot/../events.bicep" `
        --parameters "@$parameters" --output none
    if ($LASTEXITCODE -ne 0) {
        Stop-Hook ('the event subscriptions were not made; az says why above. Roles take minutes ' +
            "to work and the app must answer Event Grid's handshake, so running this again may be " +
            'enough. What is there already stays as it is.')
    }
    Write-Host "Done: new flow logs reach $app as they are written."
} finally {
    Remove-Item -Force $messages, $parameters
}

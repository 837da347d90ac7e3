using 'main.bicep'

// Azure China (21Vianet): an App Service plan instead of Flex Consumption, no budget (see README.md).
param environmentName = 'cn'
param cloud = 'china'
param location = 'chinanorth3'
param hosting = 'dedicated'
param dedicatedSku = 'P0v3'
param privateNetwork = true
param dataSku = 'Standard_ZRS'
param evidenceDays = 1095
param logRetentionDays = 365
param alertEmails = ['dingflow-operations@example.com']
param alertWebhook = readEnvironmentVariable('DINGFLOW_ALERT_WEBHOOK', '')
param operatorPrincipalId = readEnvironmentVariable('DINGFLOW_OPERATORS', '')
param entraTenantId = readEnvironmentVariable('DINGFLOW_ENTRA_TENANT', '')
param authAudience = readEnvironmentVariable('DINGFLOW_AUTH_AUDIENCE', '')
param settings = {
  'Exporters:acme-zhuhai:Name': 'Acme (Zhuhai) Ltd'
}

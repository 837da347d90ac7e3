using 'main.bicep'

// Private network, zones, two instances always ready so that an upgrade leaves no gap, one for freezes.
param environmentName = 'prod'
param zoneRedundant = true
param alwaysReadyHttp = 2
param alwaysReady = [{ name: 'function:ProcessOffboarding', instanceCount: 1 }]
param maximumInstanceCount = 100
param siteUpdateStrategy = 'RollingUpdate'
param privateNetwork = true
param dataSku = 'Standard_ZRS'
param evidenceDays = 1095
param logRetentionDays = 365
param alertEmails = ['dingflow-operations@example.com']
param alertWebhook = readEnvironmentVariable('DINGFLOW_ALERT_WEBHOOK', '')
param alertActiveMessages = 1000
param budgetAmount = 1500
param budgetStart = '2026-12-01'
param operatorPrincipalId = readEnvironmentVariable('DINGFLOW_OPERATORS', '')
param entraTenantId = readEnvironmentVariable('DINGFLOW_ENTRA_TENANT', '')
param authAudience = readEnvironmentVariable('DINGFLOW_AUTH_AUDIENCE', '')
param settings = {
  'Offboarding:Target': '00:15:00'
  'Exporters:acme-zhuhai:Name': 'Acme (Zhuhai) Ltd'
  'Recipients:acme-sg:Name': 'Acme Pte. Ltd.'
  'Recipients:acme-sg:Country': 'SG'
  // Abroad (eastasia is Hong Kong) each DingTalk organisation and HR source also needs its legal entity, or the program does not start:
  // 'DingTalk:Tenants:zhuhai:Exporter': 'acme-zhuhai'
  // 'HrSources:acme:Exporter': 'acme-zhuhai'
}

using 'main.bicep'

// A small installation to try things on: no network of its own, Standard Service Bus, evidence that can be removed again.
param environmentName = 'dev'
param dataSku = 'Standard_LRS'
param evidenceDays = 1
param logRetentionDays = 180
param alertEmails = ['dingflow-dev@example.com']
param budgetAmount = 100
param budgetStart = '2026-12-01'
// Imaginary people until there is a directory: remove when DingTalk or Entra is configured.
param settings = {
  'Sandbox:Enabled': 'true'
  'Exporters:acme:Name': 'Acme (trial)'
}

// What Azure tells people by itself, beside the alerts that the program sends: the two ways must not share a point of failure. Signals of
// the program are read from its metrics, which are never sampled, not from the words of its log.

import { queueType, timerType } from '../types.bicep'

param prefix string
param location string
param tags object
param emails string[]
param phones { countryCode: string, number: string }[]

@secure()
@description('A webhook that understands the common alert schema. Its address may hold a key, so it is kept out of the deployment\'s history.')
param webhookUri string

param queues queueType[]
param timers timerType[]
param premium bool
param namespaceId string
param vaultId string
param storageIds string[]
param workspaceId string

@description('Messages of one queue that may wait; a large import may need more.')
param activeMessages int

@description('Minutes that the oldest message taken up may have waited.')
param queueAgeMinutes int

@description('Refused requests (401) in five minutes.')
param unauthorized int

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${prefix}-people'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'DingFlow'
    emailReceivers: [for (email, i) in emails: { name: 'email-${i}', emailAddress: email, useCommonAlertSchema: true }]
    smsReceivers: [for (phone, i) in phones: { name: 'sms-${i}', countryCode: phone.countryCode, phoneNumber: phone.number }]
    webhookReceivers: webhookUri == '' ? [] : [{ name: 'webhook', serviceUri: webhookUri, useCommonAlertSchema: true }]
  }
}

// --- Platform metrics: thresholds of the Azure Monitor Baseline Alerts, but where a comment says otherwise ---

var ofNamespace = concat(
  [
    {
      name: 'dead-letters'
      description: 'Messages lie in a dead-letter queue. The program parks what it cannot handle, so these failed before or after it.'
      severity: 1
      metric: 'DeadletteredMessages'
      aggregation: 'Average'
      threshold: 0
      perQueue: true
    }
    {
      name: 'active-messages'
      description: 'More messages wait than usual: the functions are slow, stopped or drowned.'
      severity: 2
      metric: 'ActiveMessages'
      aggregation: 'Average'
      threshold: activeMessages
      perQueue: true
    }
    {
      name: 'throttled'
      description: 'Service Bus refuses requests because there are too many.'
      severity: 0
      metric: 'ThrottledRequests'
      aggregation: 'Total'
      threshold: 10
      perQueue: false
    }
    {
      name: 'server-errors'
      description: 'Service Bus fails.'
      severity: 1
      metric: 'ServerErrors'
      aggregation: 'Total'
      threshold: 0
      perQueue: false
    }
  ],
  premium
    ? [
        {
          name: 'namespace-cpu'
          description: 'The messaging units are busy; add some.'
          severity: 2
          metric: 'NamespaceCpuUsage'
          aggregation: 'Maximum'
          threshold: 85
          perQueue: false
        }
      ]
    : []
)

resource serviceBus 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for rule in ofNamespace: {
    name: '${prefix}-${rule.name}'
    location: 'global'
    tags: tags
    properties: {
      description: rule.description
      severity: rule.severity
      enabled: true
      autoMitigate: true
      evaluationFrequency: 'PT1M'
      windowSize: rule.name == 'namespace-cpu' ? 'PT15M' : 'PT5M'
      scopes: [namespaceId]
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: rule.name
            metricNamespace: 'Microsoft.ServiceBus/namespaces'
            metricName: rule.metric
            timeAggregation: rule.aggregation
            operator: 'GreaterThan'
            threshold: rule.threshold
            dimensions: rule.perQueue ? [{ name: 'EntityName', operator: 'Include', values: map(queues, q => q.name) }] : []
          }
        ]
      }
      actions: [{ actionGroupId: people.id }]
    }
  }
]

// A queue that is never empty for half an hour while nothing is completed: nobody receives.
resource stuck 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for queue in queues: {
    name: '${prefix}-stuck-${queue.name}'
    location: 'global'
    tags: tags
    properties: {
      description: 'Messages of the queue ${queue.name} wait and none was completed for half an hour.'
      severity: 0
      enabled: true
      autoMitigate: true
      evaluationFrequency: 'PT5M'
      windowSize: 'PT30M'
      scopes: [namespaceId]
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'waiting'
            metricNamespace: 'Microsoft.ServiceBus/namespaces'
            metricName: 'ActiveMessages'
            timeAggregation: 'Minimum'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: [{ name: 'EntityName', operator: 'Include', values: [queue.name] }]
          }
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'completed'
            metricNamespace: 'Microsoft.ServiceBus/namespaces'
            metricName: 'CompleteMessage'
            timeAggregation: 'Total'
            operator: 'LessThan'
            threshold: 1
            dimensions: [{ name: 'EntityName', operator: 'Include', values: [queue.name] }]
          }
        ]
      }
      actions: [{ actionGroupId: people.id }]
    }
  }
]

resource storage 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for (id, i) in storageIds: {
    name: '${prefix}-storage-${i}-availability'
    location: 'global'
    tags: tags
    properties: {
      description: 'Requests to the storage account ${last(split(id, '/'))} fail.'
      severity: 1
      enabled: true
      autoMitigate: true
      evaluationFrequency: 'PT5M'
      windowSize: 'PT5M'
      scopes: [id]
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: 'availability'
            metricNamespace: 'Microsoft.Storage/storageAccounts'
            metricName: 'Availability'
            timeAggregation: 'Average'
            operator: 'LessThan'
            threshold: 100
            dimensions: []
          }
        ]
      }
      actions: [{ actionGroupId: people.id }]
    }
  }
]

var ofVault = [
  { name: 'availability', description: 'Key Vault fails.', severity: 1, metric: 'Availability', operator: 'LessThan', threshold: 90 }
  { name: 'saturation', description: 'Key Vault is nearly full.', severity: 1, metric: 'SaturationShoebox', operator: 'GreaterThan', threshold: 75 }
]

resource vault 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for rule in ofVault: {
    name: '${prefix}-vault-${rule.name}'
    location: 'global'
    tags: tags
    properties: {
      description: rule.description
      severity: rule.severity
      enabled: true
      autoMitigate: true
      evaluationFrequency: 'PT1M'
      windowSize: 'PT5M'
      scopes: [vaultId]
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: rule.name
            metricNamespace: 'Microsoft.KeyVault/vaults'
            metricName: rule.metric
            timeAggregation: 'Average'
            operator: rule.operator
            threshold: rule.threshold
            dimensions: []
          }
        ]
      }
      actions: [{ actionGroupId: people.id }]
    }
  }
]

// --- Signals of the program ---

// The last successful run of each timer against the silence that its schedule allows. A timer that never ran is missed, too, once the
// program has been seen for longer than that silence; a program that was never seen at all is missed at once.
var heartbeat = '''
let expected = datatable(fn: string, silentAfter: timespan) [{0}];
let runs = AppMetrics | where Name == "dingflow.timer.runs";
let seenSince = coalesce(toscalar(runs | summarize min(TimeGenerated)), datetime(1970-01-01));
expected
| join kind=leftouter (
    runs
    | where tostring(Properties.outcome) == "succeeded"
    | summarize lastRun = max(TimeGenerated) by fn = tostring(Properties.function)) on fn
| where coalesce(lastRun, seenSince) < ago(silentAfter)
| project Timer = fn, LastRun = lastRun
'''
var frequent = filter(timers, timer => timer.silentAfterMinutes > 0 && timer.silentAfterMinutes <= 60)
var rare = filter(timers, timer => timer.silentAfterMinutes > 60)

var ofProgram = concat(
  [
    {
      name: 'heartbeat-missing'
      description: 'A timer that runs every few minutes did not run: the program or its host is down, or its telemetry does not arrive.'
      severity: 0
      frequency: 'PT5M'
      window: 'PT1H'
      query: format(heartbeat, join(map(frequent, t => '"${t.function}", ${t.silentAfterMinutes}m'), ', '))
      dimension: 'Timer'
      threshold: 0
    }
    {
      name: 'freeze-clock-breached'
      description: 'A leaver\'s accounts are not verified as frozen within the target.'
      severity: 0
      frequency: 'PT5M'
      window: 'PT5M'
      query: 'AppMetrics | where Name == "dingflow.alerts.raised" and tostring(Properties.type) == "offboarding.overdue" | where Sum > 0 | project Type = tostring(Properties.type)'
      dimension: 'Type'
      threshold: 0
    }
    {
      name: 'threshold-level-reached'
      description: 'A cross-border transfer counter reached an alert level or is forecast to reach its limit within the time that a filing takes.'
      severity: 1
      frequency: 'PT5M'
      window: 'PT5M'
      query: 'AppMetrics | where Name == "dingflow.alerts.raised" and tostring(Properties.type) startswith "thresholds." | where Sum > 0 | project Type = tostring(Properties.type)'
      dimension: 'Type'
      threshold: 0
    }
    {
      name: 'critical-alert-raised'
      description: 'The program raised a critical alert: it should have reached people by its own channels already.'
      severity: 2
      frequency: 'PT5M'
      window: 'PT5M'
      query: 'AppMetrics | where Name == "dingflow.alerts.raised" and tostring(Properties.severity) == "critical" | where Sum > 0 | project Type = tostring(Properties.type)'
      dimension: 'Type'
      threshold: 0
    }
    {
      name: 'messages-parked'
      description: 'A message could not be handled and was set aside with its reason; mend the cause, then replay it.'
      severity: 1
      frequency: 'PT5M'
      window: 'PT5M'
      query: 'AppMetrics | where Name == "dingflow.messages.parked" | where Sum > 0 | project Queue = tostring(Properties.queue)'
      dimension: 'Queue'
      threshold: 0
    }
    {
      name: 'messages-ageing'
      description: 'Messages waited for longer than ${queueAgeMinutes} minutes before they were taken up.'
      severity: 1
      frequency: 'PT5M'
      window: 'PT10M'
      query: 'AppMetrics | where Name == "dingflow.queue.age" and Max > ${queueAgeMinutes * 60} | project Queue = tostring(Properties.queue)'
      dimension: 'Queue'
      threshold: 0
    }
    {
      name: 'http-5xx'
      description: 'Callers get errors of ours. The host\'s own requests are read, too: it answers when the program does not.'
      severity: 1
      frequency: 'PT5M'
      window: 'PT5M'
      query: '''
let program = AppMetrics | where Name == "http.server.request.duration" and toint(Properties["http.response.status_code"]) >= 500 | summarize Failures = sum(ItemCount);
let host = AppRequests | where AppRoleName != "DingFlow" and toint(ResultCode) >= 500 | summarize Failures = sum(ItemCount);
union program, host | summarize Failures = max(Failures) | where Failures > 0 | project Failures
'''
      dimension: ''
      threshold: 0
    }
    {
      name: 'unauthorized-burst'
      description: 'Many requests were refused for want of a valid signature or token: somebody guesses, or a secret was changed on one side only.'
      severity: 2
      frequency: 'PT5M'
      window: 'PT5M'
      query: 'AppMetrics | where Name == "http.server.request.duration" and toint(Properties["http.response.status_code"]) == 401 | summarize Refused = sum(ItemCount) | where Refused > ${unauthorized}'
      dimension: ''
      threshold: 0
    }
  ],
  empty(rare)
    ? []
    : [
        {
          name: 'daily-run-missing'
          description: 'A timer that runs once a day or so did not run.'
          severity: 1
          frequency: 'PT1H'
          window: 'P2D'
          query: format(heartbeat, join(map(rare, t => '"${t.function}", ${t.silentAfterMinutes}m'), ', '))
          dimension: 'Timer'
          threshold: 0
        }
      ]
)

resource program 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in ofProgram: {
    name: '${prefix}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${prefix}-${rule.name}'
      description: rule.description
      severity: rule.severity
      enabled: true
      autoMitigate: true
      // The tables of Application Insights come into being with the first telemetry.
      skipQueryValidation: true
      evaluationFrequency: rule.frequency
      windowSize: rule.window
      scopes: [workspaceId]
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: rule.threshold
            dimensions: rule.dimension == '' ? [] : [{ name: rule.dimension, operator: 'Include', values: ['*'] }]
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [people.id] }
    }
  }
]

output actionGroupId string = people.id

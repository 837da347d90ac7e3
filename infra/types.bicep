// Shapes that the modules share.

@export()
@description('A queue of the program; the list is queues.json, which a test compares with the program.')
type queueType = {
  name: string
  requiresSession: bool
  duplicateDetection: string
  lockDuration: string
  maxDeliveryCount: int
}

@export()
@description('A timer of the program and after how many minutes without a run people are told (0: a weekly one, and an alert looks back two days only); the list is timers.json.')
type timerType = {
  function: string
  schedule: string
  silentAfterMinutes: int
}

@export()
@description('A blob container. immutableDays keeps each version from being changed or deleted for so long; versionDays removes versions that were replaced so long ago.')
type containerType = {
  name: string
  immutableDays: int?
  versionDays: int?
  role: string?
  operatorRole: string?
}

@export()
@description('Instances that are always there, besides those for HTTP: a function such as function:ProcessOffboarding, and how many.')
type alwaysReadyType = {
  name: string
  instanceCount: int
}

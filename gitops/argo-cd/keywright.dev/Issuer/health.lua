-- From the conditions, as kstatus reads them; what waits for people is suspended. The same text for every kind with a status.
local health = { status = "Progressing", message = "Keywright has not looked at it yet" }
if obj.status == nil or obj.status.conditions == nil then
  return health
end
if obj.metadata.generation ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "Keywright has not looked at this generation yet"
  return health
end
local ready
for _, condition in ipairs(obj.status.conditions) do
  if condition.type == "Stalled" and condition.status == "True" then
    return { status = "Degraded", message = condition.message }
  end
  if condition.type == "Ready" then
    ready = condition
  end
end
if ready == nil then
  return health
end
health.message = ready.message
if ready.status == "True" then
  health.status = "Healthy"
elseif ready.status == "False" then
  health.status = "Degraded"
elseif ready.reason == "AwaitingApproval" then
  health.status = "Suspended"
end
return health

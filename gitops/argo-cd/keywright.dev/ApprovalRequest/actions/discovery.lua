-- Votes count only while it waits for people. Argo CD has one vote, whoever presses the button.
local waits = obj.status ~= nil and obj.status.phase == "Pending"
return {
  approve = { disabled = not waits, displayName = "Approve with the vote of Argo CD", iconClass = "fa fa-fw fa-check" },
  deny = { disabled = not waits, displayName = "Deny with the vote of Argo CD, for good", iconClass = "fa fa-fw fa-ban" },
}

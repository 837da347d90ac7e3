#!/usr/bin/env bash
# Proves that a backup can be restored: export, wipe, import, recount. To be run every quarter. What is live is only read.
#
#   infra/restore-drill.sh standalone DIRECTORY   a data directory (.dingflow) whose program is stopped; a copy of it is wiped and restored
#   infra/restore-drill.sh azure ENV              the tables of an installation; a scratch account takes the place of the wiped one
#
# Variables: DINGFLOW_PROGRAM (the published program; otherwise it is built), DINGFLOW_DRILL_DIRECTORY (where the backup and the report go;
# default artifacts/drill-TIME, mode 0700). The backup holds what the store holds: delete it, or keep it like the store.
# azure: sign in as somebody with Storage Table Data Reader on the data account and Key Vault Secrets Officer (the recount needs the
# ledger key's name), who may make storage accounts and give roles in the resource group. For an exact recount stop the app meanwhile
# (DINGFLOW_STOP=1 does, and starts it again).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

say() { printf '%s\n' "$*" | tee -a "$report" >&2; }
fail() { printf 'restore-drill: %s\n' "$*" >&2; exit 1; }
usage() { sed -n '2,/^set -euo/{/^set -euo/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2; }

program() {
  if [ -n "${DINGFLOW_PROGRAM:-}" ]; then "$DINGFLOW_PROGRAM" "$@"; else dotnet "$root/artifacts/drill-build/DingFlow.dll" "$@"; fi
}

prepare() {
  folder=${DINGFLOW_DRILL_DIRECTORY:-$root/artifacts/drill-$(date -u +%Y%m%d%H%M%S)}
  (umask 077; mkdir -p "$folder")
  report="$folder/report.txt"
  backup="$folder/backup.jsonl.gz"
  [ ! -e "$backup" ] || fail "$backup exists; give the drill a directory of its own"
  if [ -z "${DINGFLOW_PROGRAM:-}" ]; then
    dotnet build "$root/functions" -c Release -o "$root/artifacts/drill-build" --nologo -v quiet >&2
  fi
  started=$SECONDS
  : > "$report"
  say "Restore drill, $(date -u +%Y-%m-%dT%H:%M:%SZ)"
}

# $1: before or after; the rest: settings. Counters that are not what the rows say fail the drill.
recount() {
  local file="$folder/recount-$1.txt"
  shift
  program backup recount "$@" > "$file" || { cat "$file" >&2; fail "the counters are not what the rows say"; }
  tee -a "$report" < "$file" >&2
}

# The copy that was recounted before it was wiped, and the one that was restored.
compare() {
  cmp -s "$folder/recount-before.txt" "$folder/recount-after.txt" || fail "the restored store counts otherwise than the one before; see $folder"
  say "Restored and recounted, the same, in $((SECONDS - started)) s. Report: $report"
}

standalone() {
  local live=$1 copy
  [ -f "$live/dingflow.db" ] || fail "$live is no data directory of DingFlow"
  prepare
  copy="$folder/restored"
  say "Export from $live"
  program backup export "$backup" --DingFlow:DataDirectory="$live" | tee -a "$report" >&2
  (umask 077; cp -R "$live" "$copy")
  recount before --DingFlow:DataDirectory="$copy"
  say "Wipe $copy: all but the keys"
  find "$copy" -mindepth 1 ! -name keys.json ! -name api-key ! -name hr-secret -delete
  [ ! -e "$copy/dingflow.db" ] || fail "$copy was not wiped"
  say "Import into $copy"
  program backup import "$backup" --DingFlow:DataDirectory="$copy" | tee -a "$report" >&2
  program backup verify "$backup" --DingFlow:DataDirectory="$copy" | tee -a "$report" >&2
  recount after --DingFlow:DataDirectory="$copy"
  compare
}

azure() {
  local environment=$1 group app vault live scratch me suffix shared=() name value line
  [[ $environment =~ ^[a-z0-9]{2,8}$ ]] || usage
  command -v az > /dev/null || fail "az is not installed"
  group=${DINGFLOW_RESOURCE_GROUP:-dingflow-$environment}
  output() { az deployment group show --resource-group "$group" --name dingflow --query "properties.outputs.$1.value" --output tsv; }
  app=$(output appName)
  vault=$(output vaultName)
  live=$(output dataStorage)
  suffix=$(az cloud show --query suffixes.storageEndpoint --output tsv)
  me=$(az ad signed-in-user show --query id --output tsv)
  prepare

  # What decides how the ledger counts, as the app has it; the rest of its settings is of no concern here.
  while IFS=$'\t' read -r name value; do
    case "$name" in
      Transfers__* | Exporters__* | Recipients__* | Entra__Cloud) shared+=("--${name//__/:}=$value") ;;
      KeyVault__Uri) shared+=("--KeyVault:Uri=$value") ;;
    esac
  done < <(az functionapp config appsettings list --resource-group "$group" --name "$app" --query "[].[name, value]" --output tsv)
  [ "${#shared[@]}" -gt 0 ] || fail "the settings of $app cannot be read"
  shared+=("--DingFlow:Store=tables" "--DingFlow:DataDirectory=$folder/keys")

  scratch="dfdrill$(openssl rand -hex 6)"
  # From here on the scratch account goes again, and the app runs again, however this ends.
  # shellcheck disable=SC2064
  trap "az storage account delete --resource-group '$group' --name '$scratch' --yes --output none || true; [ '${DINGFLOW_STOP:-}' != 1 ] || az functionapp start --resource-group '$group' --name '$app' --output none" EXIT
  [ "${DINGFLOW_STOP:-}" != 1 ] || az functionapp stop --resource-group "$group" --name "$app" --output none
  az storage account create --resource-group "$group" --name "$scratch" --sku Standard_LRS --kind StorageV2 --min-tls-version TLS1_2 \
    --allow-shared-key-access false --allow-blob-public-access false --https-only true --tags product=DingFlow purpose=restore-drill --output none
  az role assignment create --assignee-object-id "$me" --assignee-principal-type User --role "Storage Table Data Contributor" \
    --scope "$(az storage account show --resource-group "$group" --name "$scratch" --query id --output tsv)" --output none

  say "Export from $live (vault $vault)"
  program backup export "$backup" "${shared[@]}" --Storage:TableServiceUri="https://$live.table.$suffix" | tee -a "$report" >&2
  say "Import into $scratch, which is empty"
  # A role that was given a moment ago takes a while to be known everywhere.
  for ((line = 1; ; line++)); do
    program backup import "$backup" --over "${shared[@]}" --Storage:TableServiceUri="https://$scratch.table.$suffix" >> "$report" && break
    [ "$line" -lt "${DINGFLOW_ATTEMPTS:-30}" ] || fail "the scratch account $scratch cannot be written"
    sleep "${DINGFLOW_WAIT:-10}"
  done
  program backup verify "$backup" "${shared[@]}" --Storage:TableServiceUri="https://$scratch.table.$suffix" | tee -a "$report" >&2
  # Only here: a recount first merges what was accepted, and what is live is only read. The rows were just proved to be the same.
  recount after "${shared[@]}" --Storage:TableServiceUri="https://$scratch.table.$suffix"
  say "Restored and recounted in $((SECONDS - started)) s. Report: $report"
}

[ $# -eq 2 ] || usage
case "$1" in
  standalone | azure) "$1" "$2" ;;
  *) usage ;;
esac

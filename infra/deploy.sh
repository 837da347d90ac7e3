#!/usr/bin/env bash
# Deploys DingFlow to Azure. Run it again as often as you like: what is there stays, what is missing comes.
#
#   infra/deploy.sh up ENV               all of the below, in this order; stops at the first thing that is wrong
#   infra/deploy.sh infra ENV            shows what would change (what-if), asks, deploys the Bicep
#   infra/deploy.sh keys ENV             makes the keys that nobody types, once, inside the vault
#   infra/deploy.sh publish ENV          builds, publishes, deploys the package, tests it, rolls back when the test fails
#   infra/deploy.sh smoke ENV            asks the deployed program whether it lives and is ready
#   infra/deploy.sh rollback ENV [NAME]  deploys the package before the present one (or NAME) again
#   infra/deploy.sh releases ENV         the packages that passed their smoke test
#
#   infra/deploy.sh hr ENV SOURCE DIALECT      an HR source: reads its secret (or makes one, for the dialect standard) into the vault
#   infra/deploy.sh dingtalk ENV TENANT        a DingTalk organisation: reads its five values into the vault
#   infra/deploy.sh secret ENV SETTING         any other secret setting, such as Entra:ClientSecret
#   infra/deploy.sh restart ENV                the program reads the vault at its start
#
# ENV names main.ENV.bicepparam. Variables: DINGFLOW_RESOURCE_GROUP (dingflow-ENV), DINGFLOW_LOCATION (where a new group is made),
# DINGFLOW_YES=1 (do not ask), DINGFLOW_API_KEY (for smoke: shows the checks behind "ready"). Secrets are read from the terminal or from
# standard input, never from arguments: those are seen by everybody on the machine.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

say() { printf '%s\n' "$*" >&2; }
fail() { say "deploy: $*"; exit 1; }
usage() { sed -n '2,/^set -euo/{/^set -euo/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 2; }

confirm() {
  [ "${DINGFLOW_YES:-}" = 1 ] && return 0
  local answer
  [ -t 0 ] || fail "nobody to ask; set DINGFLOW_YES=1 to go on without asking"
  read -r -p "$1 [y/N] " answer
  [ "$answer" = y ] || [ "$answer" = Y ] || fail "stopped; nothing was changed"
}

need() { command -v "$1" > /dev/null || fail "$1 is not installed"; }

# --- What is there ---

group="" app="" host="" vault="" store=""

output() { az deployment group show --resource-group "$group" --name dingflow --query "properties.outputs.$1.value" --output tsv; }

# Assignments, so that whatever fails ends the script.
load() {
  app=$(output appName) || fail "the infrastructure is not deployed to $group yet: infra/deploy.sh infra $environment"
  host=$(output appHost)
  vault=$(output vaultName)
  store=$(output hostStorage)
}

# A vault that cannot be read must never look like an empty one: the ledger key would be made anew. A role that was given a moment ago
# takes a while to be known everywhere.
has_secret() {
  local names attempt
  for ((attempt = 1; ; attempt++)); do
    names=$(az keyvault secret list --vault-name "$vault" --query "[].name" --output tsv) && break
    [ "$attempt" -lt "${DINGFLOW_ATTEMPTS:-30}" ] || fail "the vault $vault cannot be read: is your role Key Vault Secrets Officer, and are you in its network?"
    sleep "${DINGFLOW_WAIT:-10}"
  done
  grep -qxF "$1" <<< "$names"
}

# The value comes from standard input and goes through a file that only we can read: an argument would be seen by everybody.
put_secret() {
  local file status=0
  [[ $1 =~ ^[0-9A-Za-z-]{1,127}$ ]] || fail "a vault takes no secret named $1: only letters, digits and hyphens"
  file=$(umask 077; mktemp)
  cat > "$file"
  if [ -s "$file" ]; then
    az keyvault secret set --vault-name "$vault" --name "$1" --file "$file" --encoding utf-8 --output none || status=$?
  else
    say "deploy: $1 is empty; nothing was changed"; status=1
  fi
  rm -f "$file"
  return "$status"
}

# Asks for a value without showing it; takes a line of standard input where there is no terminal.
ask_secret() {
  local value
  if [ -t 0 ]; then read -r -s -p "$1: " value; say ""; else IFS= read -r value || fail "no value for $1 on standard input"; fi
  [ -n "$value" ] || fail "no value for $1"
  printf '%s' "$value"
}

# --- Steps ---

infra() {
  local parameters="$here/main.$environment.bicepparam" location
  [ -f "$parameters" ] || fail "$parameters is missing; copy main.dev.bicepparam and fill it in"
  check_cloud
  if [ "$(az group exists --name "$group" --output tsv)" != true ]; then
    location=${DINGFLOW_LOCATION:-}
    [ -n "$location" ] || fail "the resource group $group does not exist; say in DINGFLOW_LOCATION where to make it"
    confirm "Make the resource group $group in $location?"
    az group create --name "$group" --location "$location" --output none
  fi
  check_flex
  az provider register --namespace Microsoft.App --output none
  say "What would change:"
  az deployment group what-if --resource-group "$group" --name dingflow --parameters "$parameters" >&2
  confirm "Deploy this to $group?"
  # Incremental: nothing that is not in the template is removed.
  az deployment group create --resource-group "$group" --name dingflow --mode Incremental --parameters "$parameters" --output none
  load
  say "Deployed: $app, https://$host"
}

# Names of Azure China in Azure public, or the reverse, would be found out only when the program starts.
check_cloud() {
  local wanted=AzureCloud actual
  grep -Eq "^param cloud *= *'china'" "$here/main.$environment.bicepparam" && wanted=AzureChinaCloud
  actual=$(az cloud show --query name --output tsv)
  [ "$actual" = "$wanted" ] || fail "signed in to $actual, but main.$environment.bicepparam is for $wanted: az cloud set --name $wanted && az login"
}

# Flex Consumption is not everywhere: better said here than by a deployment that stops half way.
check_flex() {
  local location
  grep -Eq "^param hosting *= *'dedicated'" "$here/main.$environment.bicepparam" && return 0
  location=$(az group show --name "$group" --query location --output tsv)
  if ! az functionapp list-flexconsumption-locations --query "[].name" --output tsv | tr -d ' ' | tr '[:upper:]' '[:lower:]' | grep -qx "$location"; then
    fail "there is no Flex Consumption in $location: choose another region, or param hosting = 'dedicated' in main.$environment.bicepparam"
  fi
}

keys() {
  local name key file
  load
  for name in Pseudonyms--LedgerKey Deliveries--EncryptionKey; do
    if has_secret "$name"; then
      say "$name is there."
    else
      openssl rand -base64 32 | tr -d '\n' | put_secret "$name"
      say "$name was made. Back it up now (infra/README.md, \"Backup of the ledger key\"): without it everybody is counted anew."
    fi
  done
  if has_secret Auth--ApiKeys--ops--Hash; then
    say "The API key ops is there."
    return 0
  fi
  file="$root/.dingflow/$environment-api-key"
  (umask 077; mkdir -p "$root/.dingflow"; printf 'dfk_%s' "$(openssl rand -base64 32 | tr -d '\n=' | tr '+/' '-_')" > "$file")
  key=$(cat "$file")
  printf 'operations.read,operations.write' | put_secret Auth--ApiKeys--ops--Roles
  printf 'sha256:%s' "$(printf '%s' "$key" | openssl dgst -sha256 -r | cut -d' ' -f1)" | put_secret Auth--ApiKeys--ops--Hash
  say "The API key ops was made; it is in $file and nowhere else."
}

# Without people to freeze the program refuses to start: better said before it replaces one that runs.
check_directory() {
  local names
  names=$(az functionapp config appsettings list --resource-group "$group" --name "$app" --query "[].name" --output tsv)
  grep -qxE "Entra__TenantId|Sandbox__Enabled" <<< "$names" && return 0
  names=$(az keyvault secret list --vault-name "$vault" --query "[].name" --output tsv) || fail "the vault $vault cannot be read"
  grep -qE "^(DingTalk--Tenants--|Entra--TenantId$)" <<< "$names" ||
    fail "no directory yet: infra/deploy.sh dingtalk $environment TENANT, or param entraTenantId in main.$environment.bicepparam; then infra/deploy.sh publish $environment"
}

build() {
  need dotnet; need zip
  local folder="$root/artifacts/publish" commit
  commit=$(git -C "$root" rev-parse --short=12 HEAD 2> /dev/null || echo unversioned)
  [ -z "$(git -C "$root" status --porcelain -- functions 2> /dev/null)" ] || commit="$commit-changed"
  rm -rf "$folder"
  dotnet publish "$root/functions" -c Release -r linux-x64 -o "$folder" --nologo -v quiet >&2
  if [ ! -x "$folder/DingFlow" ] || [ ! -f "$folder/host.json" ]; then fail "the publication holds no program or no host.json"; fi
  package="$root/artifacts/dingflow-$(date -u +%Y%m%d%H%M%S)-$commit.zip"
  rm -f "$package"
  (cd "$folder" && zip -q -r -X "$package" .)
}

deploy_package() {
  az functionapp deployment source config-zip --resource-group "$group" --name "$app" --src "$1" --output none
}

# Package names begin with their time, so their order is the order in which they were made.
releases() {
  [ -n "$store" ] || load
  az storage blob list --auth-mode login --account-name "$store" --container-name releases --query "[].name" --output tsv | sort
}

# The package that runs is marked by a blob's metadata, so that a roll-back knows what it goes back from.
current() {
  az storage container metadata show --auth-mode login --account-name "$store" --name releases --query current --output tsv
}

mark_current() {
  az storage container metadata update --auth-mode login --account-name "$store" --name releases --metadata "current=$1" --output none
}

publish() {
  local before
  package=
  load
  check_directory
  before=$(current)
  build
  say "Deploying $(basename "$package")"
  deploy_package "$package"
  if smoke; then
    az storage blob upload --auth-mode login --account-name "$store" --container-name releases \
      --name "$(basename "$package")" --file "$package" --overwrite --output none
    mark_current "$(basename "$package")"
    say "Released: $(basename "$package")"
  else
    say "The smoke test failed."
    if [ -n "$before" ]; then
      back_to "$before"
      fail "rolled back to $before; see the log of the function app"
    fi
    fail "this was the first package, so there is nothing to go back to; see the log of the function app"
  fi
}

back_to() {
  local file
  file="$root/artifacts/$1"
  mkdir -p "$root/artifacts"
  az storage blob download --auth-mode login --account-name "$store" --container-name releases --name "$1" --file "$file" --output none
  deploy_package "$file"
  smoke || fail "$1 was deployed again and does not answer either: the fault is not in the package"
}

rollback() {
  local now to=${1:-}
  load
  now=$(current)
  if [ -z "$to" ]; then
    to=$(releases | awk -v now="$now" '$0 == now { exit } { before = $0 } END { print before }')
    [ -n "$to" ] || fail "no package is older than ${now:-the present one}"
  elif ! releases | grep -qxF "$to"; then
    fail "there is no release $to; there are: $(releases | tr '\n' ' ')"
  fi
  confirm "Go back from ${now:-an unknown package} to $to?"
  back_to "$to"
  mark_current "$to"
  say "Runs now: $to"
}

# Alive within five minutes, then ready. Ready may say no because a directory is not configured yet: that is told, and is no failure.
smoke() {
  local attempt status=000 body
  need curl
  [ -n "$host" ] || load
  for ((attempt = 1; attempt <= ${DINGFLOW_ATTEMPTS:-30}; attempt++)); do
    status=$(curl -s -o /dev/null -w '%{http_code}' --max-time 10 "https://$host/api/health/live" || true)
    [ "$status" = 200 ] && break
    sleep "${DINGFLOW_WAIT:-10}"
  done
  if [ "$status" != 200 ]; then say "https://$host/api/health/live answers $status."; return 1; fi
  # A route that needs a role must refuse a stranger, and a webhook of an unknown source must be unknown: the program is ours and is shut.
  status=$(curl -s -o /dev/null -w '%{http_code}' --max-time 10 "https://$host/api/offboarding" || true)
  if [ "$status" != 401 ]; then say "https://$host/api/offboarding answers a stranger with $status, not 401."; return 1; fi
  body=$(printf 'header = "Authorization: Bearer %s"\n' "${DINGFLOW_API_KEY:-none}" |
    curl -s --max-time 30 -w '\n%{http_code}' -K - "https://$host/api/health/ready" || true)
  say "Alive. Ready: $(tail -n 1 <<< "$body") $(head -n 1 <<< "$body")"
}

hr() {
  local source=${1:-} dialect=${2:-standard} value
  [[ $source =~ ^[0-9A-Za-z-]+$ ]] || fail "name the HR source with letters, digits and hyphens: infra/deploy.sh hr $environment acme standard"
  [[ $dialect =~ ^[a-z]+$ ]] || fail "the dialect $dialect is a word: see functions/docs/hr-systems.md"
  load
  if [ "$dialect" != standard ]; then
    value=$(ask_secret "Secret of $source ($dialect)")
  else
    if [ -t 0 ]; then read -r -s -p "Secret of $source (an empty line makes one): " value || true; say ""; else IFS= read -r value || true; fi
    [ -n "$value" ] || { value=whsec_$(openssl rand -base64 32 | tr -d '\n'); say "A secret was made; give it to the HR system: $value"; }
  fi
  # While a secret is rotated both are valid: the present one moves to the second place.
  if has_secret "HrSources--$source--Secrets--0"; then
    az keyvault secret show --vault-name "$vault" --name "HrSources--$source--Secrets--0" --query value --output tsv |
      tr -d '\n' | put_secret "HrSources--$source--Secrets--1"
    say "The secret before stays valid in the second place until you remove it: az keyvault secret delete --vault-name $vault --name HrSources--$source--Secrets--1"
  fi
  printf '%s' "$dialect" | put_secret "HrSources--$source--Dialect"
  printf '%s' "$value" | put_secret "HrSources--$source--Secrets--0"
  say "HR source $source is in the vault. Its address: https://$host/api/hr/$source. Now: infra/deploy.sh restart $environment"
}

dingtalk() {
  local tenant=${1:-} field values=()
  [[ $tenant =~ ^[0-9A-Za-z-]+$ ]] || fail "name the tenant with letters, digits and hyphens: infra/deploy.sh dingtalk $environment zhuhai"
  load
  # All are read before any is written: half an organisation would stop the program's start.
  for field in CorpId AppKey AppSecret Token AesKey; do values+=("$(ask_secret "DingTalk $tenant $field")"); done
  for field in CorpId AppKey AppSecret Token AesKey; do
    printf '%s' "${values[0]}" | put_secret "DingTalk--Tenants--$tenant--$field"
    values=("${values[@]:1}")
  done
  say "DingTalk $tenant is in the vault. Callback: https://$host/api/dingtalk/$tenant/events. Now: infra/deploy.sh restart $environment"
}

secret() {
  local setting=${1:-}
  [ -n "$setting" ] || fail "name the setting: infra/deploy.sh secret $environment Entra:ClientSecret"
  load
  ask_secret "$setting" | put_secret "${setting//:/--}"
  say "$setting is in the vault. Now: infra/deploy.sh restart $environment"
}

restart() { load; az functionapp restart --resource-group "$group" --name "$app" --output none; say "Restarted."; }

up() { infra; keys; publish; }

# --- Start ---

command=${1:-}
environment=${2:-}
case "$command" in
  up | infra | keys | publish | smoke | rollback | releases | hr | dingtalk | secret | restart) ;;
  *) usage ;;
esac
[[ $environment =~ ^[a-z0-9]{2,8}$ ]] || usage
need az; need openssl
group=${DINGFLOW_RESOURCE_GROUP:-dingflow-$environment}
shift 2
"$command" "$@"

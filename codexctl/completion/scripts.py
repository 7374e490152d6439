"""What ``codexctl completion`` prints. Each asks ``codexctl __complete -- WORDS``, up to the cursor."""

from __future__ import annotations

# COMP_WORDS is cut at each of COMP_WORDBREAKS, such as the @ of an e-mail address, and what comes back replaces only
# the last piece: so the pieces are joined, and what stands before the last break is cut off again. An @ belongs to the
# piece behind it (readline's rl_special_prefixes). Written for the bash 3.2 of macOS too, which has no compopt and no
# index from the end.
_BASH = r"""# codexctl completion for bash
_codexctl() {
    local line=${COMP_LINE:0:COMP_POINT} words=() count=0 index piece
    for ((index = 0; index <= COMP_CWORD; index++)); do
        piece=${COMP_WORDS[index]}
        if ((count > 0)) && [[ -n $line && $line != [[:space:]]* ]]; then
            words[count - 1]+=${piece:0:${#line}}
        else
            line=${line#"${line%%[![:space:]]*}"}
            words[count++]=${piece:0:${#line}}
        fi
        line=${line#"$piece"}
    done
    local current=${words[count - 1]} program=${words[0]/#\~/$HOME} candidate
    local kept=${current%"${current##*["$COMP_WORDBREAKS"]}"}
    kept=${kept%@}
    COMPREPLY=()
    while IFS=$'\t' read -r candidate _; do
        if [[ $candidate == :files ]]; then
            compopt -o default 2>/dev/null || COMPREPLY=($(compgen -f -- "$current"))
            return
        fi
        COMPREPLY+=("$(printf '%q' "${candidate#"$kept"}")")
    done < <("$program" __complete -- "${words[@]:1}" 2>/dev/null)
}
complete -o nosort -F _codexctl codexctl 2>/dev/null || complete -F _codexctl codexctl
"""

_ZSH = r"""#compdef codexctl
# codexctl completion for zsh
_codexctl() {
    local program=${(Q)words[1]/#\~/$HOME} line
    local -a lines found
    lines=("${(@f)$("$program" __complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in $lines; do
        if [[ $line == :files ]]; then
            _files
            return
        fi
        line=${line//:/\\:}
        found+=("${line/$'\t'/:}")
    done
    _describe -V 'codexctl' found
}
if [[ $funcstack[1] == _codexctl ]]; then
    _codexctl "$@"
else
    compdef _codexctl codexctl
fi
"""

_FISH = r"""# codexctl completion for fish
function __codexctl_complete
    set -l words (commandline -opc)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -e words[1]
    set -l current (commandline -ct)
    for line in ($program __complete -- $words $current 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path $current
            return
        end
        echo $line
    end
end
complete -c codexctl -f -k -a '(__codexctl_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}

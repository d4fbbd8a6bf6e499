    local path=. word cur=${COMP_WORDS[COMP_CWORD]} i option='' value
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == '=' ]]; then # --option=value: readline has it in three words
            continue
        elif [[ -n $option ]]; then
            option=
        elif [[ $word == -* ]]; then
            value=${values["$path $word"]:-${values[". $word"]:-}}
            [[ -z $value ]] || option=$value
        elif [[ " ${commands[$path]:-} " == *" $word "* ]]; then
            if [[ $path == . ]]; then path=$word; else path+=" $word"; fi
        fi
    done
    [[ $cur != '=' ]] || cur=
    if [[ -n $option ]]; then
        case $option in
        *FILE*)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            ;;
        FORM) mapfile -t COMPREPLY < <(compgen -W 'markdown man sample' -- "$cur") ;;
        [a-z]*) mapfile -t COMPREPLY < <(compgen -W "$option" -- "$cur") ;; # the very word
        esac
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${options[$path]:-}" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "${commands[$path]:-}" -- "$cur")
    fi

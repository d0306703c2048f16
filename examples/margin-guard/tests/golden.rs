rerate_rule::golden!(check margin_guard::MarginGuard);

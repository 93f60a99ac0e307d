"""O que os relatórios dizem, em português do Brasil: as mesmas chaves de `wording_en`."""

TEXTS = {
    # Statuses and figures
    "status.green": "verde",
    "status.yellow": "amarelo",
    "status.red": "vermelho",
    "status.inconclusive": "inconclusivo",
    "check_status.ok": "ok",
    "check_status.warn": "atenção",
    "check_status.fail": "falhou",
    "figure.interval": "{value} ({low} a {high})",
    "figure.undefined": "indefinido",
    "names.and": "{names} e {last}",
    "names.more": "{names} e mais {count}",
    "names.none": "as features acima",
    "names.labels": "os rótulos",
    "names.score": "o score",
    # Head
    "title.drift": "Drift de {model} {version}",
    "title.performance": "Desempenho de {model} {version}",
    "head.window": "{start} a {end}",
    "head.made": "gerado em {made_at}",
    "head.drift_rows": "{rows} predições sobre {entities} entidades",
    "head.performance_rows": "{rows} predições, {due} já deveriam ter rótulo, {labelled} têm",
    "head.verdict": "Veredito",
    "head.next_step": "Próximo passo",
    # Verdicts
    "verdict.drift.red": "Drift forte: {names}.",
    "verdict.drift.yellow": "Drift: {names}.",
    "verdict.drift.green": "Nenhum drift além do que o ruído explica.",
    "verdict.drift.inconclusive": "Não dá para afirmar: a diferença pode ser ruído, porque {rows} "
    "linhas sobre {entities} entidades são poucas.",
    "verdict.drift.together": "As features mudaram em conjunto, mais do que cada uma mostra.",
    "verdict.drift.also_alone": "As features mudaram em conjunto; isoladamente, houve drift em: "
    "{names}.",
    "verdict.bug": "Parece um bug nos dados de {names}.",
    "verdict.population": "Parece mudança de população, e não bug nos dados.",
    "verdict.estimate": "Recall estimado: {recall}; no treino: {training}.",
    "verdict.estimate_low": "Sem rótulos, o recall é estimado em {recall}, abaixo do limiar de "
    "{floor}; no treino: {training}.",
    "verdict.performance.fine": "O recall é {recall}, igual ou acima do limiar de {floor}.",
    "verdict.performance.breach": "O recall é {recall}: abaixo do limiar de {floor}, mas o "
    "intervalo passa dele; portanto, ainda não está confirmado.",
    "verdict.performance.confirmed": "O recall é {recall}: o intervalo inteiro está abaixo do "
    "limiar de {floor}.",
    "verdict.performance.few_positives": "Não dá para afirmar: {positives} rótulos positivos são "
    "poucos para comparar o recall ({recall}) com o limiar de {floor}.",
    "verdict.performance.no_positives": "Não dá para afirmar: nenhum dos {labelled} rótulos é "
    "positivo; o recall é indefinido, o que não é 0 nem está bom.",
    "verdict.performance.no_labels": "Não dá para afirmar: nenhum rótulo chegou para as {rows} "
    "predições desta janela.",
    "verdict.performance.labels_doubtful": "Não dá para afirmar: os rótulos parecem errados "
    "({checks}), e o que se calcula com eles não é confiável.",
    # Next steps
    "next.nothing": "Nada a fazer.",
    "next.watch": "Acompanhe: rode o relatório de novo amanhã e pergunte ao time de dados sobre "
    "{names}.",
    "next.watch.performance": "Acompanhe: rode o relatório de novo quando chegarem mais rótulos.",
    "next.fix_data": "Corrija os dados primeiro: descubra o que mudou na origem de {names}. "
    "Retreinar ou trocar de versão não ajuda enquanto os valores estiverem errados.",
    "next.retrain_check": "Verifique se uma versão retreinada é melhor: confirme a mudança com o "
    "time de dados, treine com linhas recentes e compare antes de promover.",
    "next.roll_back_check": "Verifique se a versão mudou no mesmo momento; se mudou, faça o "
    "rollback.",
    "next.no_roll_back.drift": "Veja no histórico o que mudou. Não há champion bom anterior para "
    "onde voltar: consiga rótulos destas linhas, que mostram qual é o recall.",
    "next.no_roll_back.performance": "Não há champion bom anterior para onde voltar: verifique se "
    "uma versão retreinada é melhor e compare antes de promover.",
    "next.more_rows": "Junte mais linhas: amplie a janela e rode o relatório de novo.",
    "next.check_labels": "Confira os rótulos primeiro: pergunte à origem sobre {checks}, corrija o "
    "arquivo e importe de novo.",
    "next.wait_for_labels": "Espere os rótulos: importe-os quando vencer o prazo. Até lá, só "
    "existe a estimativa.",
    # Causes
    "kind.nulls": "valores ausentes",
    "kind.unseen": "níveis inéditos",
    "kind.stuck": "valor travado",
    "kind.factor": "fator errado",
    "kind.range": "fora da faixa",
    "kind.swapped": "colunas trocadas",
    "kind.integer": "virou número inteiro",
    "kind.population": "população",
    "kind.bug": "bug nos dados",
    "cause.nulls": "{share} dos valores de {feature} estão ausentes",
    "cause.unseen": "{share} dos valores de {feature} são níveis nunca vistos no treino",
    "cause.unseen_levels": "{share} dos valores de {feature} são níveis nunca vistos no treino "
    "({levels})",
    "cause.stuck": "{share} dos valores de {feature} estão travados em {value}",
    "cause.factor": "{share} dos valores de {feature} são {factor} × os da referência",
    "cause.range": "{share} dos valores de {feature} estão fora de {low} a {high}",
    "cause.swapped": "{feature} e {other} parecem trocadas em {share} das linhas",
    "cause.integer": "{share} dos valores de {feature} viraram números inteiros",
    "cause.population": "Sem sinal de bug nos dados, {feature} tem outra distribuição",
    "cause.since": "desde {when}",
    "cause.before": "antes: {share}",
    "cause.first": "primeira requisição {request}",
    "cause.first_at": "visto pela primeira vez em {when}",
    "cause.rising": "Está crescendo.",
    "cause.falling": "Está diminuindo.",
    "cause.steady": "Está estável.",
    "cause.moved": "Muda o score de uma linha em {moved}, em média.",
    "cause.unmoved": "Quase não muda o score.",
    "cause.shift": "Muda o score médio em {shift}.",
    "cause.none": "Nenhuma causa: nenhuma feature difere além do que o ruído explica.",
    # Headings
    "h.causes": "Causas, da mais importante à menos",
    "h.features": "PSI por feature, da pior à melhor",
    "h.histograms": "Referência e janela, piores features",
    "h.trend": "PSI por dia",
    "h.score": "Efeito no score",
    "h.multivariate": "Todas as features em conjunto",
    "h.estimate": "Estimativa sem rótulos",
    "h.metrics": "Métricas ao lado das do treino",
    "h.weeks": "Recall por semana",
    "h.reliability": "Confiabilidade do score",
    "h.segments": "Recall por segmento",
    "h.labels": "Conferência dos rótulos",
    "h.log": "O que foi lido",
    "h.table": "O mesmo em tabela",
    # Columns
    "col.feature": "feature",
    "col.psi": "PSI",
    "col.noise": "ruído",
    "col.q": "q",
    "col.missing": "ausentes",
    "col.unseen": "inéditos",
    "col.status": "status",
    "col.day": "dia",
    "col.rows": "linhas",
    "col.entities": "entidades",
    "col.metric": "métrica",
    "col.value": "valor",
    "col.interval": "IC 95%",
    "col.training": "treino",
    "col.error": "estimado − real",
    "col.week": "semana de",
    "col.labelled": "rotuladas",
    "col.positives": "positivos",
    "col.segment": "segmento",
    "col.recall": "recall",
    "col.precision": "precisão",
    "col.rest": "demais",
    "col.check": "conferência",
    "col.finding": "resultado",
    "col.bin": "faixa",
    "col.reference": "referência",
    "col.window": "janela",
    "col.score": "score médio",
    "col.observed": "fração positiva",
    # Metrics
    "metric.recall": "Recall",
    "metric.precision": "Precisão",
    "metric.f1": "F1",
    "metric.f2": "F2",
    "metric.pr_auc": "PR-AUC",
    "metric.roc_auc": "ROC-AUC",
    "metric.base_rate": "Taxa de positivos",
    "metric.brier": "Brier score",
    "metric.ece": "Calibração (ECE)",
    # Sentences of the sections
    "note.unclear": "Inconclusivo: {names}. O PSI é alto, mas pode ser ruído ou faltam linhas.",
    "note.psi": "Escala logarítmica. Cinza, até o traço: o que só o ruído daria. Sombreado: onde "
    "começam amarelo ({yellow}) e vermelho ({red}), acima do ruído. Para ter cor, também é preciso "
    "q abaixo de {max_q}.",
    "note.trend": "Escala logarítmica. Tracejado: o que só o ruído daria. Cada dia tem poucas "
    "linhas.",
    "note.groups": "Cada passo é o pior de até {count} dias.",
    "note.histogram": "Fração das linhas em cada faixa. Barra de cima: referência; de baixo: "
    "janela.",
    "note.score_shift": "Score médio {mean_before} na referência, {mean_now} agora; sinalizadas "
    "{flagged_before}, agora {flagged_now}.",
    "note.multivariate": "Um classificador que distingue janela e referência chega a uma AUC de "
    "{auc}, em que 0,5 é o acaso; status: {status}.",
    "note.leading": "As que mais distinguem: {names}.",
    "note.estimate": "CBPE sobre {rows} linhas, calibrador: {calibrator}.",
    "note.assumption": "Supõe que a relação entre entradas e resultado não mudou; só os rótulos "
    "podem mostrar uma mudança de conceito.",
    "note.log": "Ficaram de fora: {torn} linha(s) cortada(s), {invalid} inválida(s) e {others} de "
    "outras versões.",
    "note.entities": "{count} de {rows} linhas não indicam a entidade, e cada uma conta como uma "
    "entidade: onde há entidades repetidas, o drift é superestimado. Defina DATATHON_ENTITY_SECRET "
    "no serviço e envie entity_id.",
    "note.forest": "Ponto: valor com intervalo de 95%. Losango: treino.",
    "note.weeks": "Pontos: recall com intervalo de 95%. Lacuna: nenhum rótulo positivo, logo "
    "indefinido.",
    "note.reliability": "Pontos na diagonal: um score de 0,3 se confirma em 30% das linhas.",
    "note.segments": "q: corrigido pelo número de segmentos.",
    "note.more": "Mais {count} no relatório em JSON.",
    "calibrator.isotonic": "isotônico",
    "calibrator.none": "nenhum",
    "mark.floor": "limiar {value}",
    "mark.training": "treino {value}",
    "mark.worse": "pior",
    "mark.same": "não pior",
    # Label checks
    "check.coverage": "cobertura",
    "check.delay": "atraso",
    "check.duplicates": "rótulos revisados",
    "check.conflicts": "conflitos",
    "check.orphans": "órfãos",
    "check.base_rate": "taxa de positivos",
    "check.one_class": "as duas classes",
    "check.selective": "seleção",
    "finding.coverage": "{labelled} de {due} predições no prazo têm rótulo ({coverage})",
    "finding.none_due": "nenhum rótulo está no prazo ainda; {labelled} chegaram antes",
    "finding.delay": "metade chega em até {median} dias, 95% em até {p95}",
    "finding.delay_unknown": "nenhum rótulo para medir o atraso",
    "finding.duplicates": "{revised} rótulos foram substituídos por um mais novo",
    "finding.conflicts": "{conflicts} predições têm rótulos que se contradizem",
    "finding.orphans": "{orphans} rótulos não correspondem a nenhuma predição",
    "finding.base_rate": "{base_rate} positivos, {training} no treino",
    "finding.one_class": "{positives} rótulos positivos e {negatives} negativos",
    "finding.selective": "score médio {score_labelled} com rótulo, {score_unlabelled} sem rótulo",
    "finding.selective_unknown": "nenhuma linha sem rótulo para comparar",
    "finding.early": "{early} já eram conhecidos antes da predição",
    "finding.contradicted": "{share} têm outro rótulo por entidade e período",
}

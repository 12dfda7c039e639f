"""Words and phrases by which people stop, start and ask for help, in plain form: no case, accents or punctuation.

Every language counts for every entity, for who was sent a Dutch message may answer in French. Whole-message words
must be unmistakable by themselves; phrases are regular expressions that may stand anywhere in a message. When in
doubt a phrase to stop is here: a wrong STOP costs one reader, a missed one breaks a promise (WhatsApp Business
Messaging Policy: every request to stop is honoured).
"""

from __future__ import annotations

import re
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.replace("\n", ",").split(",") if word.strip())


def _pattern(text: str) -> re.Pattern[str]:
    lines = (line.strip() for line in text.splitlines())
    return re.compile(r"\b(?:" + "|".join(line for line in lines if line) + r")\b")


STOP_WORDS: Final = _words("""
    stop, stopp, stopt, stopall, stpo, sotp, stop all, stop alles, stop alle, stop tout, halt stop
    unsubscribe, unsub, unsubscribed, unsubscribe me, opt out, optout, opt me out, remove me, cancel, quit, end, leave
    take me off, delete me, no more
    stoppen, uitschrijven, schrijf uit, schrijf me uit, schrijf mij uit, uitschrijving, afmelden, meld me af
    meld mij af, afmelding, opzeggen, annuleren, annuleer, verwijder me, verwijder mij, beeindig, beeindigen, einde
    niet meer, genoeg, ik stop, ik stop ermee, nooit meer
    arret, arreter, arretez, arrete, desinscrire, desinscription, desinscrivez moi, desabonner, desabonnement
    desabonnez moi, me desabonner, me desinscrire, se desinscrire, se desabonner, desinscris moi, desabonne moi
    annuler, fin, supprimer, retirez moi, resilier, plus jamais, ca suffit
    abmelden, abbestellen, austragen, abmeldung, abbestellung, kundigen, beenden, ende, aufhoren, aufhoeren
    stoppen sie, abmelden bitte, loschen, loeschen, entfernen, schluss, nie wieder, abonnement beenden, widerruf
    baja, cancelar, darme de baja, dar de baja, parar, cancelar suscripcion
    annulla, cancellami, cancella, disiscrivimi, disiscrizione, basta
""")
"""A message that consists of one of these, and of words of politeness, is a STOP."""

LEADING: Final = frozenset(
    "stop stopp stoppen stoppt stopall unsubscribe unsub optout uitschrijven afmelden desinscription desinscrire "
    "desabonner desabonnement arret arreter arretez abmelden abbestellen austragen baja cancellami".split()
)
"""A short message that begins or ends with one of these is a STOP too: "stop nu eens", "ok dan stop"."""

STOP_PHRASES: Final = _pattern(r"""
    (?:stop|quit|cease) (?:\w+ ){0,2}?(?:send|text|messag|contact|spam|bother|harass|writ|whatsapp|ping)\w*
    stop (?:with )?(?:the |these |those |this |all |your |any |al ?die |deze |dit |die |jullie |met |het )*(?:\w+ ){0,1}?(?:messages?|texts?|spam|ads?|advertis\w*|promo\w*|offers?|marketing|newsletters?|notifications?|berichten|reclame|berichtjes|appjes|meldingen|aanbiedingen|sturen|appen|pub\w*|messages|sms|notifications?|nachrichten|werbung|whatsapps?)
    (?:do not|dont|don t|never|please no|kindly do not) (?:ever )?(?:send|text|message|contact|write|whatsapp|bother|disturb|spam) (?:\w+ )?(?:me|us|this|these|anything|any|again|anymore|to me|messages|to this number)
    (?:do not|dont|don t|no longer|not|never) (?:wish|want|like|care|wanna|agree|consent|asked|need)? ?(?:to )?(?:receiv\w*|get|getting|hear|subscribe\w*) ?(?:\w+ ){0,4}?(?:messages?|texts?|spam|ads?|promo\w*|offers?|marketing|news|newsletters?|these|this|this anymore|from you|any ?more|stuff)
    (?:do not|dont|don t|no longer) (?:wish|want|wanna|need) (?:any |more |your |these |this |those )+(?:messages?|texts?|spam|ads?|promo\w*|offers?|marketing|newsletters?|anymore)
    no more (?:of )?(?:\w+ ){0,2}?(?:messages?|texts?|spam|ads?|promo\w*|offers?|marketing|newsletters?|whatsapps?)
    (?:unsubscribe|unsub) (?:me|us|my|from|this|please|now)
    (?:want|like|wish|need|how (?:do|can|to)|please|can you|could you|let me|must) (?:\w+ ){0,3}?(?:unsubscribe|unsub|opt ?out|sign off)
    (?:opt|opting) (?:me )?out
    (?:remove|delete|take|erase|strike|get) (?:me|us|my (?:\w+ )?(?:number|phone|name|details|data|contact)|this number) ?(?:\w+ ){0,2}?(?:from|off|out of) (?:\w+ ){0,3}?(?:lists?|database|system|contacts|group|mailing\w*|this|records|subscription)
    (?:remove|delete|erase) my (?:\w+ )?(?:number|phone|contact|details|data)
    (?:take|get) me off
    leave me alone
    (?:cancel|end|terminate) (?:my |the |this )?(?:subscription|membership to this|messages)
    (?:withdraw|revoke) (?:my )?(?:consent|permission)
    lose my number
    i ?m out of this list
    not interested (?:any ?more|in (?:your|these|this|any) (?:messages?|offers?|promo\w*|ads?|marketing|spam))

    geen (?:\w+ ){0,3}?(?:berichten|bericht|berichtjes|reclame|spam|appjes|apps|aanbiedingen|promoties?|nieuwsbrieven|nieuwsbrief|mails?|meldingen|whatsapps?|whatsappberichten|reclameberichten|marketing) (?:\w+ ){0,4}?(?:meer|ontvangen|krijgen|sturen|hebben)
    geen (?:reclame|spam|berichten|marketing|appjes|aanbiedingen) (?:meer|aub|alstublieft|alsjeblieft|a u b)
    (?:niets|niks|niet|geen) (?:\w+ ){0,3}?meer (?:\w+ ){0,2}?(?:ontvangen|sturen|krijgen|appen|horen|berichten|contacteren|toesturen|benaderen|lastig)
    (?:stuur|zend|app|schrijf|bericht|contacteer|benader) (?:me|mij|ons) (?:\w+ ){0,3}?(?:niet|niets|niks|geen|nooit) (?:\w+ ){0,3}?meer
    (?:niet|nooit) meer (?:sturen|appen|berichten|contacteren|mailen|storen|lastigvallen)
    (?:schrijf|meld|haal|verwijder|zet) (?:me|mij|ons|mijn (?:\w+ )?(?:nummer|gegevens|telefoonnummer|gsm nummer)|dit nummer) (?:\w+ ){0,4}?(?:uit|af|van|weg)
    (?:verwijder|wis|schrap) (?:me|mij|mijn (?:\w+ )?(?:nummer|gegevens|telefoonnummer)|dit nummer)
    (?:wil|wens|moet|kan|zou|graag|gelieve) (?:\w+ ){0,5}?(?:uitschrijven|afmelden|uitgeschreven|afgemeld|opzeggen)
    (?:uitschrijven|afmelden|uitgeschreven) (?:graag|aub|a u b|alstublieft|alsjeblieft|van|voor|uit|worden)
    stop (?:ermee|er mee|hiermee|daarmee|met|mij|me|nu|aub|onmiddellijk|direct|meteen)
    laat (?:me|mij|ons) (?:\w+ )?(?:met rust|gerust)
    (?:hou|houd|houdt) (?:\w+ ){0,3}?(?:mee )?op
    val (?:me|mij) (?:\w+ ){0,2}?niet (?:meer )?lastig
    trek (?:ik )?(?:mijn )?toestemming (?:\w+ )?in
    toestemming (?:\w+ )?intrekken
    geen (?:interesse|belangstelling|behoefte|zin) (?:\w+ ){0,5}?(?:berichten|reclame|aanbiedingen|promoties|meer)

    (?:ne |n )(?:me |m |nous )?(?:envoyez|envoie|envoyer|contactez|contacter|contacte|ecrivez|ecris|ecrire|derangez|deranger|sollicitez|solliciter|harcelez|appelez) (?:\w+ ){0,3}?(?:plus|pas|rien|jamais)
    (?:envoyez|envoie|contactez|ecrivez) (?:moi )?(?:plus|pas) (?:de|d|rien|ca)
    (?:ne )?plus (?:jamais )?(?:de |d |recevoir |me |m |etre )(?:\w+ ){0,3}?(?:messages?|pubs?|publicites?|sms|spams?|promos?|promotions?|offres?|notifications?|contactee?|sollicitee?|envoyer|contacter|deranger|recevoir|ecrire|whatsapp|newsletters?)
    ne plus (?:me|nous|m|recevoir|etre) \w+
    (?:veux|souhaite|desire|voudrais|aimerais) (?:\w+ )?(?:plus|pas) (?:rien )?(?:recevoir|etre contactee?|de vos|de ces|que vous|vos|ces|avoir|etre sollicitee?)
    (?:veux|souhaite|voudrais|aimerais|comment|puis je|peux je|pouvez vous|merci de|veuillez|svp|pour) (?:\w+ ){0,3}?(?:desinscrire|desabonner|desinscrit|desinscrite|desabonnee?|desinscription|desabonnement|stopper|retirer|supprimer)
    (?:desinscrivez|desabonnez|desinscris|desabonne|retirez|supprimez|enlevez|effacez|rayez|retire|supprime|enleve) (?:moi|nous|mon (?:\w+ )?(?:numero|nom|contact|telephone)|mes (?:donnees|coordonnees)|ce numero)
    (?:me|se|mon|ma) (?:desinscrire|desabonner|desabonnement|desinscription)
    (?:arretez?|arreter|cessez?|cesser|stop|stoppez) (?:tout de suite |immediatement |svp |de |d |a |avec |aux? |la |les? |vos |ces |ce |cette |tous |toutes |m |me |nous )*(?:envoyer|ecrire|envois?|messages?|pubs?|publicites?|sms|spams?|spammer|contacter|deranger|harceler|harcelement|whatsapp|promos?|notifications?|envoyer)
    (?:laissez|laisse|fichez|foutez) (?:moi|nous) (?:\w+ )?(?:tranquilles?|la paix|en paix)
    pas interesse\w* (?:par )?(?:vos|ces|les) (?:messages?|offres?|pubs?|promos?)
    retire (?:mon|le) consentement
    (?:aucun|aucune) (?:message|pub|publicite|sollicitation|promo)
    (?:arretez?|stop) (?:s il (?:vous|te) plait|svp|stp|merci|tout|ca|cela)

    keine? (?:\w+ ){0,3}?(?:nachrichten|nachricht|werbung|werbenachrichten|spam|angebote|newsletter|mitteilungen|infos|whatsapps?|sms|mails?|messages) (?:\w+ ){0,4}?(?:mehr|erhalten|bekommen|schicken|senden|zusenden|haben|empfangen|wunsch\w*)
    keine (?:nachrichten|werbung|spam|angebote|newsletter) (?:mehr|bitte|danke)
    (?:nichts|nicht|nie|niemals) (?:\w+ ){0,3}?(?:mehr|weiter) (?:\w+ ){0,3}?(?:schicken|senden|schreiben|anschreiben|kontaktieren|zusenden|erhalten|bekommen|empfangen|horen|kontaktiert|angeschrieben|belastig\w*)
    (?:schick\w*|send\w*|schreib\w*|kontaktier\w*) (?:sie |ihr )?(?:mir|mich|uns) (?:\w+ ){0,3}?(?:nichts|nicht|keine|nie) (?:\w+ ){0,3}?(?:mehr|wieder)
    (?:nehmt|nehmen sie|streich\w*|losch\w*|loesch\w*|entfern\w*|trag\w*|meld\w*) (?:sie |ihr )?(?:mich|uns|meine (?:\w+ )?(?:nummer|daten|telefonnummer|handynummer|kontaktdaten)|diese nummer) ?(?:\w+ ){0,4}?(?:aus|ab|von|raus|heraus|loschen|loeschen)?
    (?:will|mochte|moechte|wurde|wuerde|kann|muss|bitte|wie) (?:\w+ ){0,5}?(?:abmelden|abbestellen|austragen|abgemeldet|ausgetragen|kundigen|kuendigen)
    (?:abmelden|abbestellen|austragen) (?:bitte|vom|von|aus|mich)
    (?:hort|hoert|horen sie|hoeren sie|hor) (?:\w+ ){0,2}?(?:bitte )?(?:\w+ )?auf
    lass(?:t|en sie)? mich (?:\w+ )?in (?:ruhe|frieden)
    (?:widerrufe|widerspreche|widerruf) (?:\w+ ){0,4}?(?:einwilligung|zustimmung|nutzung|werbung|zusendung|verwendung)
    (?:einwilligung|zustimmung) (?:\w+ ){0,3}?(?:widerrufen|zuruck\w*|widerrufe)
    kein interesse (?:mehr|an (?:\w+ )?(?:nachrichten|werbung|angeboten|newsletter))
    stopp? (?:bitte |sofort |mit |den |der |die |das |diese\w* |eure |ihre |alle )*(?:nachrichten|werbung|spam|newsletter|schreiben|schicken|senden|whatsapps?)

    no (?:me )?(?:envie\w*|manden?|escriban?|molest\w*|contact\w*) (?:mas|\w+ mensajes)
    no (?:quiero|deseo) (?:recibir )?(?:mas )?(?:mensajes|publicidad|promociones|nada mas)
    (?:quiero|deseo|como) (?:\w+ ){0,2}?(?:darme de baja|cancelar la suscripcion)
    non (?:mi )?(?:inviate|scrivete|mandate|contattate) piu
    non (?:voglio|desidero) (?:ricevere )?(?:piu )?(?:messaggi|pubblicita)
    (?:voglio|vorrei|come) (?:\w+ ){0,2}?(?:disiscrivermi|cancellarmi)
""")

NOT_STOP: Final = _pattern(r"""
    (?:do not|dont|don t|never|not|wont|won t|cant|can t|cannot|couldn t|didnt|didn t|doesn t|without|no|non) (?:ever |want to |wanna |going to |like to |have to |need to |to |let (?:\w+ ){1,2})*(?:stop\w*|unsubscrib\w*|opt ?out|quit|cancel)
    (?:bus|next|pit|tram|train|first|last|one|full|metro|tube|short|a quick|quick|truck|rest) ?stops?
    (?:nonstop|non stop)
    stop(?:s|ped|ping)? (?:by|at|over|in|off|loss|sign|motion|watch|light)
    (?:when|where|what time|until when|how long) (?:\w+ ){0,6}?(?:stop|end|quit)s?
    (?:can t|cant|couldn t|cannot|won t) stop (?:\w+ing)
    (?:sold|selling|sells) out
    (?:cancel|cancelled|canceled|cancelling) (?:my |the |an? |this |that )?(?:order|booking|appointment|reservation|purchase|delivery|payment|visit|trip)
    (?:delete|remove) (?:my |the )?(?:order|item|cart|product|photo|picture|comment|review|address)
    (?:niet|nooit|zonder (?:te )?) (?:\w+ ){0,2}?(?:stoppen|gestopt|uitschrijven|afmelden|opzeggen|annuleren)
    stop (?:\w+ )?(?:niet|nooit|de tijd)
    (?:wanneer|waar|hoe laat|tot wanneer|hoelang|hoe lang) (?:\w+ ){0,4}?(?:stopt|stop|eindigt)
    (?:bushalte|tussenstop|bus stop)
    (?:bestelling|afspraak|reservering|reservatie|order|aankoop) (?:\w+ ){0,2}?(?:annuleren|afzeggen|wijzigen|stoppen|verwijderen)
    (?:annuleer|annuleren|verwijder|verwijderen) (?:\w+ ){0,2}?(?:bestelling|afspraak|reservering|reservatie|order|aankoop|product)
    niet (?:meer )?(?:op voorraad|beschikbaar|leverbaar|te koop|verkrijgbaar|werkt?)
    (?:n |ne )(?:\w+ )?(?:arretez?|arreter|stoppez?|desinscri\w+|desabonn\w+|annulez?|supprimez?) (?:\w+ )?(?:pas|jamais|surtout pas)
    (?:pas|jamais|ne pas|sans) (?:\w+ )?(?:arreter|stopper|desinscrire|desabonner|annuler)
    (?:sans|l) arret
    arrets? (?:de |du )?(?:bus|tram|metro|train|cardiaque|maladie|travail)
    (?:quand|ou|jusqu a quand|a quelle heure) (?:\w+ ){0,5}?(?:arrete\w*|fin|finit|termine)
    (?:annuler|supprimer|annulez|modifier) (?:ma |mon |la |le |l |une |un )(?:commande|rendez vous|reservation|rdv|achat|livraison|article|panier)
    (?:nicht|nie|niemals|ohne|kein) (?:\w+ ){0,2}?(?:aufhoren|aufhoeren|abmelden|abbestellen|austragen|stoppen|stopp|kundigen)
    (?:hort|hoert|hor|horen sie) (?:\w+ ){0,2}?(?:nicht|nie|niemals|bloss nicht|ja nicht) (?:\w+ )?auf
    hor\w* (?:sich )?(?:\w+ )?(?:gut|toll|super|interessant) an
    (?:haltestelle|bushaltestelle|zwischenstopp|boxenstopp)
    (?:wann|wo|bis wann|wie lange) (?:\w+ ){0,5}?(?:stoppt|endet|ende|aufhort)
    (?:bestellung|termin|reservierung|auftrag|buchung|paket) (?:\w+ ){0,2}?(?:stornieren|abbestellen|loschen|absagen|stoppen|abmelden|kundigen)
    (?:stornieren|loschen|abbestellen) (?:\w+ ){0,2}?(?:bestellung|termin|reservierung|auftrag|buchung)
    keine? (?:nachrichten|nachricht|angebote|newsletter) (?:erhalten|bekommen) (?:warum|wieso|weshalb|habe|hab)
    (?:warum|wieso|weshalb|why|pourquoi|waarom) (?:\w+ ){0,8}?(?:keine|no|pas|plus|geen) (?:\w+ ){0,3}?(?:nachrichten|messages|berichten|angebote|offers|offres|aanbiedingen|more)
    (?:warum|wieso|weshalb|why|pourquoi|waarom) (?:\w+ ){0,4}?(?:unsubscribed|uitgeschreven|afgemeld|desinscrite?|desabonnee?|abgemeldet)
""")
"""What contains a word to stop and means something else. It is taken out of the message before phrases are looked for."""

START_WORDS: Final = _words("""
    start, unstop, subscribe, opt in, optin, sign me up, resubscribe, start again
    aanmelden, inschrijven, starten, opnieuw aanmelden, schrijf me in, schrijf mij in, meld me aan, meld mij aan
    inscription, s inscrire, inscrire, s abonner, abonner, demarrer, commencer, inscrivez moi, abonnez moi, reprendre
    anmelden, abonnieren, starten bitte, eintragen, meldet mich an, melden sie mich an, wieder anmelden
    alta, suscribir, suscribirme, iscrivimi, iscriviti, iscrizione
""")
"""A whole message only. JA, OUI or YES answer any question, so an entity that wants them adds them itself."""

HELP_WORDS: Final = _words("""
    help, info, hulp, aide, hilfe, ayuda, aiuto, help me, information, informatie, informationen, informations
    menu, support, sos, aidez moi, helpt, hilf mir, help mij
""")

POLITE: Final = frozenset(
    """
    please pls plz plse pleas kindly thanks thank thx ty you u hi hello hey dear sir madam sorry ok okay now just yes
    immediately asap already yeah guys team it this that right away
    aub ajb alstublieft alsjeblieft a b gelieve bedankt dank je jullie wel hallo hoi dag goedendag goeiedag nu graag
    gewoon direct onmiddellijk meteen ja dan eens dit maar dus gvd mvg groeten groetjes
    svp stp sil plait s il vous te plait merci bonjour bonsoir salut oui maintenant ici immediatement bien monsieur
    madame cordialement ca d accord tout de suite
    bitte danke schon guten tag hallo jetzt sofort lieber liebe ihr nun mal endlich mfg gruss
    por favor gracias hola per favore grazie ciao
    """.split()
)
"""Words that may stand around a whole-message word without changing what it means."""
